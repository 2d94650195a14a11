package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/wire"
)

// CallbackConn is the Transport of one connection of API Gateway, at the origin:
// messages go out by POSTs to API Gateway's callback URL, several at once, and
// come in by Take, in any order and from any goroutine.
type CallbackConn struct {
	post   func(ctx context.Context, text []byte) error
	ticket string
	known  atomic.Bool // the client has the ticket
	in     deduplicator
	out    *batch
	owner  Owner
	ctx    context.Context // ends with Close
	stop   context.CancelFunc

	mu     sync.Mutex // guards the following
	resume func()     // what Park was given; nil: nothing is parked
	closed bool
}

// NewCallbackConn makes the Transport of a connection. post sends one text
// message and returns when API Gateway has taken it, or an error, which closes
// the transport, when it never will; it returns soon after its context ends, and
// must not keep text. At most inFlight run at once. ticket is handed to the
// client, which brings it with every message after its first.
func NewCallbackConn(post func(ctx context.Context, text []byte) error, inFlight int, ticket string) *CallbackConn {
	c := &CallbackConn{post: post, ticket: ticket}
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.out = newBatch(inFlight, c.send, func() { c.Close() })
	c.out.opened = true
	return c
}

// Start implements Transport.
func (c *CallbackConn) Start(o Owner) { c.owner, c.out.tasks = o, o.Tasks }

func (c *CallbackConn) send(number uint32, body []byte) error {
	wire.PutNumbers(body, wire.Numbers{Number: number, Got: c.in.upTo()})
	ticket := c.ticket
	if c.known.Load() {
		ticket = ""
	}
	text := getBody(1 + len(ticket) + wire.TextLen(len(body)))
	text = wire.AppendText(wire.AppendDown(text, ticket), body)
	putBody(body) // the post may take long
	defer putBody(text)
	return c.post(c.ctx, text)
}

// Take delivers a message of the client to the transport's owner. It does not
// wait for anything, and may be called by many goroutines after Start. An error
// has closed the transport, or says that it is closed.
func (c *CallbackConn) Take(m wire.Up) error {
	if c.ctx.Err() != nil {
		return net.ErrClosed
	}
	buf := getBody(wire.BytesLen(len(m.Body)))
	defer putBody(buf)
	n, frames, err := wire.ParseBody(buf, m.Body)
	if err == nil {
		err = c.deliver(m, n, frames)
	}
	if err != nil {
		c.Close()
	}
	return err
}

func (c *CallbackConn) deliver(m wire.Up, n wire.Numbers, frames []byte) error {
	if m.Token == "" {
		c.known.Store(true)
	}
	c.out.heard(n.Got)
	isNew, err := c.in.note(n.Number)
	if err != nil || !isNew {
		return err
	}
	return c.owner.Deliver(frames)
}

// WriteMessage implements Transport: frames go when their message is full or due.
func (c *CallbackConn) WriteMessage(b []byte) error { return c.out.Write(b) }

// NextMessage implements Transport: it waits until Close, as messages come by
// Take.
func (c *CallbackConn) NextMessage() (io.Reader, error) {
	<-c.ctx.Done()
	return nil, net.ErrClosed
}

// Park implements Transport.
func (c *CallbackConn) Park(resume func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.resume = resume
	}
	return !c.closed
}

// Probe implements Transport: an origin asks no edge.
func (c *CallbackConn) Probe() error { return errors.ErrUnsupported }

// Overdue implements Transport: it is for how long a message of the client has
// been missing.
func (c *CallbackConn) Overdue(now time.Time) time.Duration { return c.in.missing(now) }

// Profile implements Transport.
func (c *CallbackConn) Profile() *Profile { return gatewayProfile }

// Done is closed when the transport is.
func (c *CallbackConn) Done() <-chan struct{} { return c.ctx.Done() }

// Close implements Transport. It ends posts under way, too.
func (c *CallbackConn) Close() error {
	c.out.close(net.ErrClosed)
	c.stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.resume != nil {
		c.owner.Tasks.Go(c.resume)
		c.resume = nil
	}
	return nil
}
