package doctor

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/front"
)

// tally counts the connections to a front, and what they bring.
type tally struct {
	mu    sync.Mutex // guards the following
	conns []*counted
}

// counted is a connection beneath TLS.
type counted struct {
	net.Conn
	began time.Time
	bytes atomic.Int64 // that have come
}

// over is a Dialer with d's settings whose connections are counted.
func (t *tally) over(d *front.Dialer) *front.Dialer {
	if d == nil {
		d = &front.Dialer{}
	}
	d, wrap := d.Clone(), d.Wrap
	d.Wrap = func(c net.Conn) net.Conn {
		if wrap != nil {
			c = wrap(c)
		}
		return t.add(c)
	}
	return d
}

func (t *tally) add(c net.Conn) net.Conn {
	one := &counted{Conn: c, began: time.Now()}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns = append(t.conns, one)
	return one
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// most is what the connection brought that brought most.
func (t *tally) most() (bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		bytes = max(bytes, c.bytes.Load())
	}
	return bytes
}

// made is how many connections began within the last minute.
func (t *tally) made(now time.Time) int {
	return t.count(func(c *counted) bool { return now.Sub(c.began) < time.Minute })
}

// answered is how many of them brought something.
func (t *tally) answered(now time.Time) int {
	return t.count(func(c *counted) bool { return now.Sub(c.began) < time.Minute && c.bytes.Load() > 0 })
}

func (t *tally) count(counts func(*counted) bool) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		if counts(c) {
			n++
		}
	}
	return n
}
