package front

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe is a connection in memory whose writes wait for nobody. What was written before an
// end was closed still comes.
func pipe() (near, far net.Conn) {
	there, back := newDirection(), newDirection()
	return &pipeEnd{in: back, out: there}, &pipeEnd{in: there, out: back}
}

type pipeEnd struct{ in, out *direction }

func (c *pipeEnd) Read(b []byte) (int, error)       { return c.in.read(b) }
func (c *pipeEnd) Write(b []byte) (int, error)      { return c.out.write(b) }
func (c *pipeEnd) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *pipeEnd) SetWriteDeadline(time.Time) error { return nil }
func (c *pipeEnd) SetReadDeadline(t time.Time) error {
	c.in.end(t)
	return nil
}
func (c *pipeEnd) LocalAddr() net.Addr  { return &net.TCPAddr{} }
func (c *pipeEnd) RemoteAddr() net.Addr { return &net.TCPAddr{} }

func (c *pipeEnd) Close() error {
	c.SetReadDeadline(time.Time{})
	c.in.close()
	c.out.close()
	return nil
}

// direction is what was written and not read yet.
type direction struct {
	mu     sync.Mutex // guards the following
	change *sync.Cond
	b      bytes.Buffer
	closed bool
	late   bool // the deadline for reads has passed
	timer  *time.Timer
}

func newDirection() *direction {
	d := &direction{}
	d.change = sync.NewCond(&d.mu)
	return d
}

func (d *direction) read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.b.Len() == 0 && !d.closed && !d.late {
		d.change.Wait()
	}
	switch {
	case d.late:
		return 0, os.ErrDeadlineExceeded
	case d.b.Len() == 0:
		return 0, io.EOF
	}
	return d.b.Read(b)
}

func (d *direction) write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, io.ErrClosedPipe
	}
	d.change.Broadcast()
	return d.b.Write(b)
}

func (d *direction) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.change.Broadcast()
}

// end has reads fail from t on, or never if t is zero.
func (d *direction) end(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.late, d.timer = !t.IsZero() && !time.Now().Before(t), nil
	if !t.IsZero() && !d.late {
		d.timer = time.AfterFunc(time.Until(t), func() { d.end(t) })
	}
	d.change.Broadcast()
}
