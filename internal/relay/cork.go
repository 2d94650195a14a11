package relay

import (
	"errors"
	"net"
	"sync"

	"culvert/internal/netpoll"
)

// Cork stands between TLS and TCP. crypto/tls hands over every record of
// 16 KiB by a Write of its own; a corked Cork gathers them, so that a message
// of four records costs one system call.
type Cork struct {
	net.Conn
	came   func()     // told of bytes that were read; or nil
	mu     sync.Mutex // held across Conn.Write: it is the order of writes
	corked bool
	buf    []byte
}

// NewCork wraps the conn on which TLS will run.
func NewCork(c net.Conn) *Cork { return &Cork{Conn: c} }

// corkSize holds a message of the largest size as TLS records.
const corkSize = 68 << 10

var corks = sync.Pool{New: func() any { b := make([]byte, 0, corkSize); return &b }}

func (c *Cork) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.came != nil {
		c.came()
	}
	return n, err
}

// Write passes p on, or keeps it until uncork if corked.
func (c *Cork) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked {
		return c.Conn.Write(p)
	}
	if c.buf == nil {
		c.buf = *corks.Get().(*[]byte)
	}
	if len(c.buf)+len(p) > corkSize {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(p) > corkSize {
		return c.Conn.Write(p)
	}
	c.buf = append(c.buf, p...)
	return len(p), nil
}

// CloseWrite half-closes the connection beneath, if it can.
func (c *Cork) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}

func (c *Cork) cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// uncork writes what was kept. Its error is that of all writes since cork.
func (c *Cork) uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	err := c.flush()
	if c.buf != nil {
		b := c.buf[:0]
		c.buf = nil
		corks.Put(&b)
	}
	return err
}

func (c *Cork) flush() error {
	if len(c.buf) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

// CorkListener wraps what it accepts in a Cork and prepares the sockets for
// carriers; TLS, if any, goes on top.
type CorkListener struct{ net.Listener }

// Accept waits for the next connection.
func (l CorkListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	netpoll.Tune(c)
	return NewCork(c), nil
}
