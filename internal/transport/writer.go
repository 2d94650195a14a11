package transport

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"culvert/internal/netpoll"
)

// messageWriter stands between coder/websocket and TLS or TCP. The library's client
// flushes a message in pieces of 4 KiB, each a TLS record and a system call;
// a messageWriter gathers a whole message and writes it at once.
type messageWriter struct {
	net.Conn
	cork     *Cork       // beneath TLS, or nil
	first    []byte      // read with the upgrade's answer, to be read before the rest
	piece    int         // bytes that are written at once
	progress func()      // told of each whole piece that was written; or nil
	busy     atomic.Bool // a message is being written

	mu   sync.Mutex // held across Conn.Write: it is the order of writes
	held bool       // a message is being put together
	buf  []byte
}

// pieceSize is a message of one full frame with its WebSocket header.
const pieceSize = 64 << 10

var pieces = sync.Pool{New: func() any { b := make([]byte, 0, pieceSize); return &b }}

func newMessageWriter(c net.Conn) *messageWriter {
	w := &messageWriter{Conn: c, piece: pieceSize}
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn and its like
		w.cork, _ = t.NetConn().(*Cork)
	}
	return w
}

// watch has progress called whenever bytes have come, even of a part of a TLS
// record, or a whole piece was written: on a slow link a message takes long.
func (w *messageWriter) watch(progress func()) {
	w.progress = progress
	if w.cork != nil {
		w.cork.came = progress
	}
}

func (w *messageWriter) Read(p []byte) (int, error) {
	if len(w.first) == 0 {
		return w.Conn.Read(p)
	}
	n := copy(p, w.first)
	w.first = w.first[n:]
	return n, nil
}

// Write keeps p while a message is being put together. The library's own
// pings, pongs and closes come outside of one and pass at once.
func (w *messageWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.held {
		return w.Conn.Write(p)
	}
	if w.buf == nil {
		w.buf = *pieces.Get().(*[]byte)
	}
	for rest := p; len(rest) > 0; {
		n := min(len(rest), w.piece-len(w.buf))
		w.buf = append(w.buf, rest[:n]...)
		rest = rest[n:]
		if len(w.buf) < w.piece {
			break
		}
		if err := w.flush(); err != nil {
			return 0, err
		}
		if w.progress != nil {
			w.progress()
		}
	}
	return len(p), nil
}

func (w *messageWriter) begin() {
	w.busy.Store(true)
	w.mu.Lock()
	w.held = true
	w.mu.Unlock()
}

// end writes what was kept since begin.
func (w *messageWriter) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.busy.Store(false)
	w.held = false
	err := w.flush()
	if w.buf != nil {
		b := w.buf[:0]
		w.buf = nil
		pieces.Put(&b)
	}
	return err
}

func (w *messageWriter) flush() error {
	b := w.buf
	w.buf = w.buf[:0]
	switch {
	case len(b) == 0:
		return nil
	case w.cork == nil || len(b) <= tlsRecord:
		_, err := w.Conn.Write(b)
		return err
	}
	w.cork.cork()
	_, err := w.Conn.Write(b)
	if err2 := w.cork.uncork(); err == nil {
		err = err2
	}
	return err
}

// tlsRecord is the most plaintext in one TLS record (RFC 8446, section 5.1).
const tlsRecord = 16 << 10

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
