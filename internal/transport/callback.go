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
	known  atomic.Bool   // the client has the ticket
	free   chan struct{} // holds one for each post that may begin, but for the next that WriteMessage begins
	owner  Owner
	ctx    context.Context // ends with Close; its cause is what WriteMessage returns then
	stop   context.CancelCauseFunc

	mu     sync.Mutex // guards the following
	resume func()     // what Park was given; nil: nothing is parked
	closed bool
}

// NewCallbackConn makes the Transport of a connection. post sends one text
// message and returns when API Gateway has taken it, or an error, which closes
// the transport, when it never will; it returns soon after its context ends, and
// must not keep text. At most inFlight run at once, and at least one may. ticket is
// handed to the client, which brings it with every message after its first.
func NewCallbackConn(post func(ctx context.Context, text []byte) error, inFlight int, ticket string) *CallbackConn {
	c := &CallbackConn{post: post, ticket: ticket, free: make(chan struct{}, inFlight)}
	c.ctx, c.stop = context.WithCancelCause(context.Background())
	for range inFlight - 1 {
		c.free <- struct{}{}
	}
	return c
}

// Start implements Transport.
func (c *CallbackConn) Start(o Owner) { c.owner = o }

// Take delivers the body of a client's message to the transport's owner, once for
// each time that it has come. It does not wait for anything, and may be called by many
// goroutines after Start. An error has closed the transport, or says that it is closed.
func (c *CallbackConn) Take(m wire.Up) error {
	if c.ctx.Err() != nil {
		return net.ErrClosed
	}
	buf := GetBody(wire.BytesLen(len(m.Body)))
	defer PutBody(buf)
	body, err := wire.AppendBytes(buf, m.Body)
	if err == nil {
		if m.Token == "" {
			c.known.Store(true)
		}
		err = c.owner.Deliver(body)
	}
	if err != nil {
		c.Close()
	}
	return err
}

// WriteMessage implements Transport. It begins a post and returns when another may
// begin, so that what follows is chosen, and sealed, as late as can be.
func (c *CallbackConn) WriteMessage(body []byte) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	text := c.text(body)
	if !c.owner.Tasks.Go(func() { c.send(text) }) {
		return net.ErrClosed
	}
	select {
	case <-c.free:
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// text is the message of a body. It holds the ticket until the client has brought it.
func (c *CallbackConn) text(body []byte) []byte {
	ticket := c.ticket
	if c.known.Load() {
		ticket = ""
	}
	text := GetBody(1 + len(ticket) + wire.TextLen(len(body)))
	return wire.AppendText(wire.AppendDown(text, ticket), body)
}

func (c *CallbackConn) send(text []byte) {
	defer PutBody(text)
	if err := c.post(c.ctx, text); err != nil {
		c.end(err)
		return
	}
	c.free <- struct{}{}
}

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

// Lag implements Transport: functions hand messages on whole.
func (c *CallbackConn) Lag() time.Duration { return 0 }

// Ahead implements Transport.
func (c *CallbackConn) Ahead() bool { return false }

// Unread implements Transport: a message is read as it comes.
func (c *CallbackConn) Unread() bool { return false }

// Profile implements Transport.
func (c *CallbackConn) Profile() *Profile { return gatewayProfile }

// Done is closed when the transport is.
func (c *CallbackConn) Done() <-chan struct{} { return c.ctx.Done() }

// Close implements Transport. It ends posts under way, too.
func (c *CallbackConn) Close() error {
	c.end(net.ErrClosed)
	return nil
}

// end closes the transport for a reason, of which the first stays.
func (c *CallbackConn) end(why error) {
	c.stop(why)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.resume != nil {
		c.owner.Tasks.Go(c.resume)
		c.resume = nil
	}
}
