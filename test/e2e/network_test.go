package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// network is where a test's processes meet: this machine's loopback, or memory
// inside a bubble of synctest, whose clock no socket of the kernel obeys.
type network interface {
	listen(t testing.TB) net.Listener
	dial(ctx context.Context, network, address string) (net.Conn, error)
}

type loopback struct{ net.Dialer }

func (*loopback) listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return ln
}

func (n *loopback) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return n.DialContext(ctx, network, address)
}

// memory is a network of buffered connections.
type memory struct {
	mu    sync.Mutex
	doors map[string]*memDoor
}

func (m *memory) listen(testing.TB) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.doors == nil {
		m.doors = map[string]*memDoor{}
	}
	d := &memDoor{at: memAddr(fmt.Sprintf("10.0.0.1:%d", 2000+len(m.doors))), conns: make(chan net.Conn), closed: make(chan struct{})}
	m.doors[d.at.String()] = d
	return d
}

func (m *memory) dial(ctx context.Context, _, address string) (net.Conn, error) {
	m.mu.Lock()
	d := m.doors[address]
	m.mu.Unlock()
	if d == nil {
		return nil, refused()
	}
	a, b := newFlow(), newFlow()
	near, far := &memConn{in: a, out: b, to: d.at}, &memConn{in: b, out: a, to: d.at}
	select {
	case d.conns <- far:
		return near, nil
	case <-d.closed:
		return nil, refused()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func refused() error { return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED} }

type memAddr string

func (memAddr) Network() string  { return "tcp" }
func (a memAddr) String() string { return string(a) }

type memDoor struct {
	at     memAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (d *memDoor) Addr() net.Addr { return d.at }

func (d *memDoor) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (d *memDoor) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// memConn is an end of a connection in memory that half-closes and resets as
// TCP does.
type memConn struct {
	in, out *flow
	to      memAddr
	mu      sync.Mutex
	hard    bool
}

func (c *memConn) LocalAddr() net.Addr                { return c.to }
func (c *memConn) RemoteAddr() net.Addr               { return c.to }
func (c *memConn) Read(b []byte) (int, error)         { return c.in.read(b) }
func (c *memConn) Write(b []byte) (int, error)        { return c.out.write(b) }
func (c *memConn) CloseWrite() error                  { c.out.end(io.EOF, false); return nil }
func (c *memConn) SetReadDeadline(at time.Time) error { c.in.deadline(&c.in.readBy, at); return nil }
func (c *memConn) SetWriteDeadline(at time.Time) error {
	c.out.deadline(&c.out.writeBy, at)
	return nil
}

func (c *memConn) SetDeadline(at time.Time) error {
	c.SetReadDeadline(at)
	return c.SetWriteDeadline(at)
}

func (c *memConn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hard = seconds == 0
	return nil
}

func (c *memConn) Close() error {
	c.mu.Lock()
	hard := c.hard
	c.mu.Unlock()
	if hard {
		c.out.end(syscall.ECONNRESET, true)
	} else {
		c.out.end(io.EOF, false)
	}
	c.in.leave()
	return nil
}

// flow is one direction.
type flow struct {
	mu              sync.Mutex
	cond            sync.Cond
	buf             []byte
	err             error // what the reader gets after buf
	left            bool  // the reader has closed
	readBy, writeBy time.Time
}

const flowSize = 64 << 10

func newFlow() *flow {
	f := new(flow)
	f.cond.L = &f.mu
	return f
}

func (f *flow) read(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.left:
			return 0, net.ErrClosed
		case len(f.buf) > 0:
			n := copy(b, f.buf)
			f.buf = f.buf[n:]
			f.cond.Broadcast()
			return n, nil
		case f.err != nil:
			return 0, f.err
		case past(f.readBy):
			return 0, os.ErrDeadlineExceeded
		}
		f.cond.Wait()
	}
}

func (f *flow) write(b []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for n < len(b) {
		switch room := flowSize - len(f.buf); {
		case f.err != nil:
			return n, net.ErrClosed
		case f.left:
			return n, syscall.ECONNRESET
		case past(f.writeBy):
			return n, os.ErrDeadlineExceeded
		case room > 0:
			k := min(room, len(b)-n)
			f.buf = append(f.buf, b[n:n+k]...)
			n += k
			f.cond.Broadcast()
		default:
			f.cond.Wait()
		}
	}
	return n, nil
}

func (f *flow) end(err error, drop bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil || drop {
		f.err = err
	}
	if drop {
		f.buf = nil
	}
	f.cond.Broadcast()
}

func (f *flow) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.buf = true, nil
	f.cond.Broadcast()
}

func (f *flow) deadline(by *time.Time, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*by = at
	f.cond.Broadcast()
	if !at.IsZero() {
		time.AfterFunc(time.Until(at), f.cond.Broadcast)
	}
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }
