package passthrough

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/netpoll"
	"culvert/internal/share"
)

// socket is a WebSocket that is passed on: two connections, and a goroutine for each direction while something moves
// there. One that rests has neither goroutine nor buffer.
type socket struct {
	proxy     *Proxy
	user, far end
	moved     atomic.Bool  // tells the watch
	left      atomic.Int32 // directions that go on
	watch     *time.Timer  // ends it if nothing moves
	place     *share.Place[uint32, struct{}]
}

// newSocket makes one of two connections, on which the user's early bytes and the origin's ahead were read already.
func (p *Proxy) newSocket(user net.Conn, early []byte, far net.Conn, ahead []byte, of uint32) *socket {
	s := &socket{proxy: p}
	s.user.init(s, &s.far, user, early, p.count.up)
	s.far.init(s, &s.user, far, ahead, p.count.down)
	s.left.Store(2)
	s.moved.Store(true)
	p.count.opened.Inc()
	p.count.open.Inc()
	s.watch = time.AfterFunc(time.Hour, s.idle)
	s.watch.Reset(p.idle) // only now: idle looks for the timer
	s.place = p.users.Enter(of, struct{}{}, func() { p.task(s.cut) })
	return s
}

// start has both directions passed on until both have ended, or one has failed.
func (s *socket) start() {
	if !s.proxy.sockets.join(s) {
		s.cut()
	}
	s.proxy.task(s.user.run)
	s.proxy.task(s.far.run)
}

// cut closes both connections. It may be called more than once, and waits at most until a goodbye of TLS has found room.
func (s *socket) cut() {
	for _, e := range []*end{&s.user, &s.far} {
		e.Close()
		if e.waiter != nil {
			e.waiter.Cancel()
		}
	}
}

// ended is told by each direction what it ended of. A half-close is passed on; all else ends the other direction, too.
func (s *socket) ended(from *end, err error) {
	if errors.Is(err, io.EOF) {
		err = from.to.closeWrite()
	}
	if err != nil {
		s.cut()
	}
	if s.left.Add(-1) > 0 {
		return
	}
	s.cut()
	s.watch.Stop()
	s.place.Leave()
	s.proxy.count.open.Dec()
	s.proxy.sockets.leave(s)
}

// idle runs once a period and ends the socket if nothing has moved in it.
func (s *socket) idle() {
	switch {
	case s.left.Load() == 0: // ended meanwhile
	case s.moved.Swap(false):
		s.watch.Reset(s.proxy.idle)
	default:
		s.proxy.count.ended.Inc()
		s.cut()
	}
}

// part is an exchange that wants to become a socket, or a socket.
type part interface{ cut() }

// sockets are the parts that there are.
type sockets struct {
	running sync.WaitGroup // one for each that is open

	mu      sync.Mutex // guards the following
	open    map[part]struct{}
	closing bool // nobody is admitted any more
	ended   bool // what comes now ends at once
	cut     bool // some were ended that would have gone on
}

// enter reports whether one more may be open. Those that wait for the origin are
// strangers yet, which the server bounds; those that it admits are bounded by their users. The caller calls leave when x has
// ended.
func (s *sockets) enter(x *exchange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.add(x)
	return true
}

// join adds a socket that was an exchange; false if it is to end.
func (s *sockets) join(k *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(k)
	s.cut = s.cut || s.ended
	return !s.ended
}

// add adds a part. s.mu is held.
func (s *sockets) add(p part) {
	if s.open == nil {
		s.open = map[part]struct{}{}
	}
	s.open[p] = struct{}{}
	s.running.Add(1)
}

func (s *sockets) leave(p part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
	s.running.Done()
}

// drain waits until all have ended, or ctx has and end has ended them.
func (s *sockets) drain(ctx context.Context, task func(func())) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { s.end(task) })
	defer stop()
	s.running.Wait() // one that end has ended leaves at once: both its connections are closed
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return ctx.Err()
	}
	return nil
}

// end ends all.
func (s *sockets) end(task func(func())) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for p := range s.open {
		s.cut = true
		task(p.cut)
	}
}

// end is one of a socket's two connections, and the direction that leads from it to the other. One that rests waits in
// the Proxy's poller, also beneath TLS; a buffer is borrowed while there is something in it.
type end struct {
	net.Conn
	socket *socket
	to     *end
	ahead  []byte             // was read already, and is passed on first
	count  prometheus.Counter // of bytes read here
	plain  *netpoll.Conn      // nil: not a plain TCP connection
	waiter *netpoll.ReadWaiter
	came   time.Time // when something came last
	until  time.Time // the deadline of reads
	resume func()    // goOn, made once
}

// One goroutine reads a connection while another may write to it, as with any net.Conn.
func (e *end) init(s *socket, to *end, c net.Conn, ahead []byte, count prometheus.Counter) {
	netpoll.Tune(c)
	e.Conn, e.socket, e.to, e.ahead, e.count = c, s, to, ahead, count
	if e.plain = netpoll.NewConn(c, pool{}.Get, pool{}.Put); e.plain != nil {
		e.waiter = &e.plain.ReadWaiter
	} else {
		e.waiter = netpoll.NewReadWaiter(netpoll.Beneath(c))
	}
	if e.waiter != nil {
		e.waiter.Use(&s.proxy.poller)
	}
	e.came = time.Now() // what TLS has read before no poller sees, so reading comes first
	e.resume = e.goOn
}

// closeWrite tells the peer that no more comes: a FIN, or TLS's close_notify.
func (e *end) closeWrite() error {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return e.Conn.Close()
}

// restless is for how long a goroutine waits for more. Where things come further apart than half of that it does not
// wait: to have it begin anew costs two system calls.
const restless = 2 * time.Second

// run passes on what was read already, and then what comes.
func (e *end) run() {
	err := e.pass(e.ahead)
	e.ahead = nil
	e.passOn(err)
}

// goOn is run when something has come after a rest. A deadline would be one more timer to run out.
func (e *end) goOn() {
	if !e.until.IsZero() {
		e.until = time.Time{}
		e.Conn.SetReadDeadline(e.until)
	}
	e.passOn(e.read())
}

// passOn passes on what comes until the direction ends, or rests.
func (e *end) passOn(err error) {
	for err == nil {
		now := time.Now()
		isSparse := now.Sub(e.came) >= e.socket.proxy.restless/2
		if e.came = now; isSparse && e.park() {
			return
		}
		err = e.step(now)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if err = nil; e.rests() {
				return
			}
		}
	}
	e.socket.ended(e, err)
}

// park has goOn called when something comes, or has come; false if it cannot be waited for so.
func (e *end) park() bool { return e.waiter != nil && e.waiter.Rest(e.resume) }

// rests parks after nothing has come for a while. Where that cannot be, reads wait from now on.
func (e *end) rests() bool {
	if e.park() {
		return true
	}
	e.waiter, e.until = nil, time.Time{}
	e.Conn.SetReadDeadline(time.Time{})
	return false
}

// step waits for bytes, not for long if the wait can be left to the poller, and passes them on.
func (e *end) step(now time.Time) error {
	if wait := e.socket.proxy.restless; e.waiter != nil && e.until.Sub(now) < wait/2 {
		e.until = now.Add(wait)
		e.Conn.SetReadDeadline(e.until)
	}
	return e.read()
}

// read waits for bytes and passes them on.
func (e *end) read() error {
	if e.plain != nil {
		full, n, err := e.plain.Read(0, fullRead)
		if err != nil {
			return err
		}
		defer pool{}.Put(full)
		return e.pass(full[:n])
	}
	return e.tlsStep()
}

// tlsStep waits for bytes of TLS and passes them on, and all that TLS has read besides: what is left there whole no
// poller sees.
func (e *end) tlsStep() error {
	small := smalls.Get().(*[smallRead]byte)
	defer smalls.Put(small)
	n, err := e.Conn.Read(small[:])
	if n == 0 {
		return err
	}
	full := pool{}.Get()
	defer pool{}.Put(full)
	at := copy(full, small[:n])
	e.Conn.SetReadDeadline(longAgo)
	for err == nil {
		if at == len(full) {
			if err := e.pass(full); err != nil {
				return err
			}
			at = 0
		}
		n, err = e.Conn.Read(full[at:])
		at += n
	}
	e.until = time.Time{}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = e.Conn.SetReadDeadline(e.until)
	}
	if bad := e.pass(full[:at]); bad != nil {
		return bad
	}
	return err
}

func (e *end) pass(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	e.socket.moved.Store(true)
	e.count.Add(float64(len(b)))
	_, err := e.to.Conn.Write(b)
	return err
}

// smallRead holds a chat message or a keep-alive.
const smallRead = 512

var smalls = sync.Pool{New: func() any { return new([smallRead]byte) }}

// fullRead fits the largest message of a carrier with its headers into one
// read and one write: four TLS records of 16 KiB.
const fullRead = 64 << 10

var full = sync.Pool{New: func() any { return new([fullRead]byte) }}

// pool lends the same buffers to connections that have something to read, and
// to ReverseProxy for plain answers.
type pool struct{}

func (pool) Get() []byte { return full.Get().(*[fullRead]byte)[:] }

func (pool) Put(b []byte) {
	if len(b) == fullRead {
		full.Put((*[fullRead]byte)(b))
	}
}
