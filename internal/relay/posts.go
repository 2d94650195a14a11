package relay

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"culvert/internal/wire"
)

// Posts is the Socket of a carrier at the gateway door, at the origin: messages
// go out by POSTs, several at once, and come in by Take, in any order and from
// any goroutine. It needs no Serve: once closed, its carrier ends.
type Posts struct {
	post   func(ctx context.Context, text []byte) error
	ticket string
	known  atomic.Bool // the client has the ticket
	in     arrivals
	out    *batch
	ctx    context.Context
	stop   context.CancelFunc
}

// NewPosts makes the Socket of one connection of API Gateway. post sends one
// text message and returns when API Gateway has taken it, or an error, which
// ends the carrier, when it never will; it returns soon after its context ends,
// and must not keep text. At most inFlight run at once. ticket is handed to the
// client, which brings it with every message after its first.
func NewPosts(post func(ctx context.Context, text []byte) error, inFlight int, ticket string) *Posts {
	p := &Posts{post: post, ticket: ticket}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.out = newBatch(inFlight, p.send, func() { p.Close() })
	p.out.opened = true
	return p
}

func (p *Posts) text() {}

func (p *Posts) send(number uint32, body []byte) error {
	wire.PutNumbers(body, wire.Numbers{Number: number, Got: p.in.upTo()})
	ticket := p.ticket
	if p.known.Load() {
		ticket = ""
	}
	text := getBody(1 + len(ticket) + wire.TextLen(len(body)))
	text = wire.AppendText(wire.AppendDown(text, ticket), body)
	putBody(body) // the post may take long
	defer putBody(text)
	return p.post(p.ctx, text)
}

// Take delivers a message of the client to c, the carrier over p. It does not
// wait for anything. An error has ended the carrier.
func (p *Posts) Take(c *Carrier, m wire.Up) error {
	buf := getBody(wire.BytesLen(len(m.Body)))
	defer putBody(buf)
	n, frames, err := wire.ParseBody(buf, m.Body)
	if err == nil {
		err = p.take(c, m, n, frames)
	}
	if err != nil {
		c.Close()
	}
	return err
}

func (p *Posts) take(c *Carrier, m wire.Up, n wire.Numbers, frames []byte) error {
	if m.Token == "" {
		p.known.Store(true)
	}
	p.out.heard(n.Got)
	isNew, err := p.in.note(n.Number)
	if err != nil || !isNew {
		return err
	}
	return c.take(frames)
}

// WriteMessage takes whole frames for the message that is being gathered.
func (p *Posts) WriteMessage(b []byte) error { return p.out.Write(b) }

// NextMessage waits until the end: messages come by Take.
func (p *Posts) NextMessage() (io.Reader, error) {
	<-p.ctx.Done()
	return nil, net.ErrClosed
}

// Doubt is since when a message of the client is missing.
func (p *Posts) Doubt(now time.Time) time.Duration { return p.in.missing(now) }

// Done is closed when the carrier has ended.
func (p *Posts) Done() <-chan struct{} { return p.ctx.Done() }

// Close ends posts under way, too.
func (p *Posts) Close() error {
	p.out.close(net.ErrClosed)
	p.stop()
	return nil
}
