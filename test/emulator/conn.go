package emulator

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"culvert/test/frames"
)

// conn is one client's connection. It is known by its id from before $connect
// is asked, open once the handshake is answered, and ended by whoever calls
// close or cut first.
type conn struct {
	gate   *Gateway
	id     string
	from   identity
	since  time.Time
	active atomic.Int64 // Unix milliseconds of the last message
	out    *outbox
	gone   chan struct{} // closed at the end

	mu     sync.Mutex // guards the following; never held across I/O
	net    net.Conn   // nil until open
	in     *bufio.Reader
	openAt time.Time
	idle   *time.Timer
	life   *time.Timer
	end    *ending
}

// ending is the close code and reason that $disconnect hears, and the client if
// the connection is not cut.
type ending struct {
	code   int // frames.NoStatus: the client gave none
	reason string
}

var (
	goingAway = ending{1001, "Going away"} // idle or old
	abnormal  = ending{frames.Abnormal, "Connection closed abnormally"}
	restart   = ending{1012, "Service Restart"}            // of the list that IANA keeps
	deleted   = ending{1000, "Connection Closed Normally"} // whatever the caller of DELETE wants to say
	throttled = ending{1008, "Too Many Requests"}
)

func newConn(g *Gateway, r *http.Request) *conn {
	c := &conn{
		gate:  g,
		id:    g.ids.next(),
		from:  identity{UserAgent: r.UserAgent(), SourceIP: sourceIP(r)},
		since: time.Now(),
		out:   newOutbox(g),
		gone:  make(chan struct{}),
	}
	c.active.Store(c.since.UnixMilli())
	return c
}

// open makes c reachable for posts from at on.
func (c *conn) open(nc net.Conn, in *bufio.Reader, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.net, c.in, c.openAt = nc, in, at
	c.idle = time.AfterFunc(c.gate.opt.Idle, func() { c.close(goingAway) })
	c.life = time.AfterFunc(c.gate.opt.Life, func() { c.close(goingAway) })
}

// isOpen tells whether the handshake is answered and the end has not come.
func (c *conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.net != nil && c.end == nil && !time.Now().Before(c.openAt)
}

// touch is called with each message: pings do not keep a connection alive.
func (c *conn) touch() {
	c.active.Store(time.Now().UnixMilli())
	c.idle.Reset(c.gate.opt.Idle)
}

// close ends c with a close frame behind all that waits.
func (c *conn) close(why ending) {
	if !c.ends(why) {
		return
	}
	c.net.SetReadDeadline(time.Now().Add(c.gate.opt.CloseTimeout))
	c.out.finish(closeFrame(why))
}

// cut ends c without a word.
func (c *conn) cut() {
	if c.ends(abnormal) {
		c.out.finish(nil)
	}
	c.net.Close()
}

// ends keeps the first ending, and tells whether this is it. From now on c is
// gone for posts.
func (c *conn) ends(why ending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return false
	}
	c.end = &why
	close(c.gone)
	c.idle.Stop()
	c.life.Stop()
	return true
}

func (c *conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end != nil
}

func (c *conn) ending() ending {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.end
}

// serve returns when nothing of the connection is left.
func (c *conn) serve() {
	meter := c.gate.opt.Meter
	meter.opened(c.id)
	defer meter.closed(c.id)
	var writer sync.WaitGroup
	writer.Go(c.write)
	stop := context.AfterFunc(c.gate.life, func() { c.close(restart) })
	defer stop()
	c.read()
	late := time.AfterFunc(c.gate.opt.CloseTimeout, func() { c.net.Close() })
	writer.Wait()
	late.Stop()
	c.net.Close()
}

// write is the only writer of c.net.
func (c *conn) write() {
	for b := c.out.next(); b != nil; b = c.out.next() {
		c.net.SetWriteDeadline(time.Now().Add(c.gate.opt.WriteTimeout))
		_, err := c.net.Write(b)
		c.out.free(len(b))
		if err != nil {
			c.cut()
		}
	}
}

// closeFrame leaves out the codes that RFC 6455, section 7.4.1, forbids to send.
func closeFrame(why ending) []byte {
	var body []byte
	if why.code != frames.NoStatus {
		body = frames.ClosePayload(why.code, why.reason)
	}
	return frames.Append(nil, frames.Close, true, body)
}

// outbox is what waits for one client. Room is reserved before something is
// put, since a post is answered before it is delivered.
type outbox struct {
	gate *Gateway

	mu       sync.Mutex // guards the following; never held across I/O
	wake     sync.Cond
	reserved int
	queue    [][]byte
	last     bool // nothing is put any more
}

func newOutbox(g *Gateway) *outbox {
	o := &outbox{gate: g}
	o.wake.L = &o.mu
	return o
}

// reserve tells whether n more bytes may wait; free must follow if so.
func (o *outbox) reserve(n int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reserved+n > o.gate.opt.ClientBuffer {
		return false
	}
	if o.gate.waiting.Add(int64(n)) > int64(o.gate.opt.BufferBytes) {
		o.gate.waiting.Add(-int64(n))
		return false
	}
	o.reserved += n
	return true
}

func (o *outbox) free(n int) {
	o.gate.waiting.Add(-int64(n))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.reserved -= n
}

// put keeps frames, for which room is reserved, and tells whether they will be
// written; if not, the room is free again.
func (o *outbox) put(frames []byte) bool {
	o.mu.Lock()
	closed := o.last
	if !closed {
		o.queue = append(o.queue, frames)
		o.wake.Signal()
	}
	o.mu.Unlock()
	if closed {
		o.free(len(frames))
	}
	return !closed
}

// finish puts a last frame, which always has room, or none. It is called once.
func (o *outbox) finish(frame []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = true
	if frame != nil {
		o.reserved += len(frame)
		o.gate.waiting.Add(int64(len(frame)))
		o.queue = append(o.queue, frame)
	}
	o.wake.Signal()
}

// next waits for the oldest; nil means that all were given out and no more come.
func (o *outbox) next() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) == 0 && !o.last {
		o.wake.Wait()
	}
	if len(o.queue) == 0 {
		return nil
	}
	b := o.queue[0]
	o.queue[0] = nil
	o.queue = o.queue[1:]
	return b
}
