package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/listener"
	"culvert/internal/netpoll"
	"culvert/internal/share"
	"culvert/internal/wire"
)

// flow is a connection of the app's and its way on to WhatsApp, whose bytes pass as they are.
type flow struct {
	by       *serving
	of       *traffic
	place    *share.Place[netip.Prefix, netip.Prefix]
	forget   func() bool // the end of serving closes the flow no more
	up, down direction
	under    atomic.Int32 // directions that have not ended

	mu       sync.Mutex // guards the following; held while they are closed, which takes no time
	closed   bool
	app      net.Conn
	whatsapp net.Conn // nil: not yet
}

// begin counts a connection of the app's, which the flow ends from now on.
func (s *serving) begin(ctx context.Context, app net.Conn, service wire.Service) *flow {
	f := &flow{by: s, app: app, of: s.to.of(service)}
	f.place = s.to.enter(app, f.fail)
	f.of.opened.Add(1)
	f.of.now.Add(1)
	f.forget = context.AfterFunc(ctx, f.fail)
	s.flows.Add(1)
	return f
}

// reach connects to WhatsApp and says what the app said first.
func (f *flow) reach(ctx context.Context, service wire.Service, first []byte) error {
	s := f.by.to
	whatsapp, err := s.Dial(ctx, service)
	if err != nil {
		return err
	}
	if !f.join(whatsapp) {
		return net.ErrClosed
	}
	f.place.Show()
	if s.Tell != 0 && service.Kind == wire.Chat {
		first = append(listener.HeaderFor(f.app, s.Tell), first...)
	}
	whatsapp.SetWriteDeadline(time.Now().Add(firstPatience))
	n, err := whatsapp.Write(first)
	whatsapp.SetWriteDeadline(time.Time{})
	f.of.up.Add(int64(n))
	return err
}

// join makes the other connection the flow's; false: the flow was closed meanwhile, and so is the connection.
func (f *flow) join(whatsapp net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		whatsapp.Close()
		return false
	}
	f.whatsapp = whatsapp
	f.up = f.direction(whatsapp, f.app, &f.of.up)
	f.down = f.direction(f.app, whatsapp, &f.of.down)
	return true
}

// run has both directions pass.
func (f *flow) run() {
	f.under.Store(2)
	f.by.flows.Go(f.up.run)
	f.by.flows.Go(f.down.run)
}

// fail ends the flow soon, before both directions have ended in order: what is left of it shall not look whole. Anybody may
// call it, at any time; it does nothing to connections that are closed.
func (f *flow) fail() { f.close(reset) }

// close closes the connections, after first has had each.
func (f *flow) close(first func(net.Conn)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	first(f.app)
	f.app.Close()
	if f.whatsapp == nil {
		return
	}
	first(f.whatsapp)
	f.whatsapp.Close()
	f.up.cancel()
	f.down.cancel()
}

// end gives back what the flow had. Nothing of it runs any more.
func (f *flow) end() {
	f.forget()
	f.close(func(net.Conn) {})
	f.place.Leave()
	f.of.now.Add(-1)
	f.by.flows.Done()
}

// direction passes bytes one way: in a goroutine while there are some. While there are none it rests in the Poller, with
// neither goroutine nor buffer nor pipe, as most chats do at any time.
type direction struct {
	flow     *flow
	to, from net.Conn
	plain    *net.TCPConn        // the same as from; nil: bytes come by TLS, which does not rest
	wait     *netpoll.ReadWaiter // of plain; nil likewise
	splices  bool                // the system can copy from one to the other
	passed   int64
	sum      *atomic.Int64 // what passed is added to it in the end
	late     *time.Timer   // when the other direction is to end; nil: this one has not ended in order
}

func (f *flow) direction(to, from net.Conn, sum *atomic.Int64) direction {
	d := direction{flow: f, to: to, from: from, plain: tcpOf(from), splices: tcpOf(to) != nil, sum: sum}
	if d.plain == nil {
		return d
	}
	if d.wait = netpoll.NewReadWaiter(d.plain); d.wait != nil {
		d.wait.Use(&f.by.poller)
	}
	return d
}

// tcpOf is the TCP connection that c reads and writes as it is, if there is one.
func tcpOf(c net.Conn) *net.TCPConn {
	if f, ok := c.(interface{ TCP() *net.TCPConn }); ok {
		return f.TCP()
	}
	tcp, _ := c.(*net.TCPConn)
	return tcp
}

// cancel has a direction that rests see that its connections are closed.
func (d *direction) cancel() {
	if d.wait != nil {
		d.wait.Cancel()
	}
}

// restAfter is how long a direction waits in its goroutine, which goes on sooner, until it rests.
const restAfter = 500 * time.Millisecond

func (d *direction) run() {
	for {
		err := d.pass()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if d.wait.Park(d.run) {
				return
			}
		case err != nil:
			d.end(err)
			return
		}
	}
}

// pass waits for bytes, and copies what is there. Its error is io.EOF at the end, and os.ErrDeadlineExceeded after a
// while in which nothing came.
func (d *direction) pass() error {
	if d.wait == nil {
		n, err := io.Copy(d.to, d.from)
		d.passed += n
		if err == nil {
			err = io.EOF
		}
		return err
	}
	d.plain.SetReadDeadline(time.Now().Add(restAfter))
	if err := d.wait.Wait(); err != nil {
		return err
	}
	if n := d.wait.Pending(); d.splices && n >= bufferSize {
		n, err := io.CopyN(d.to, d.plain, int64(n)) // by the system, without memory of ours; it takes a pipe for so long
		d.passed += n
		return err
	}
	return d.copy()
}

const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func (d *direction) copy() error {
	b := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(b)
	n, err := d.plain.Read(b[:])
	if n > 0 {
		n, err = d.to.Write(b[:n]) // an error of the read comes again
	}
	d.passed += int64(n)
	return err
}

// end hands on why the direction has ended: in order, upon which the other one may go on for a while, or not.
func (d *direction) end(err error) {
	half, ok := d.to.(interface{ CloseWrite() error })
	switch {
	case err == io.EOF && ok && half.CloseWrite() == nil:
		d.late = time.AfterFunc(lastPatience, d.flow.fail)
	default:
		d.flow.fail()
	}
	d.sum.Add(d.passed)
	if d.flow.under.Add(-1) == 0 {
		d.flow.up.stop()
		d.flow.down.stop()
		d.flow.end()
	}
}

func (d *direction) stop() {
	if d.late != nil {
		d.late.Stop()
	}
}

// firstPatience bounds the writing of what the app said first, which the system takes at once.
const firstPatience = 10 * time.Second

// lastPatience is how long one direction may go on when the other has ended.
const lastPatience = 2 * time.Minute

// reset has a connection end so that nobody takes the end for one in order.
func reset(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
}
