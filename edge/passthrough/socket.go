package passthrough

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"culvert/internal/netpoll"
	"culvert/internal/wire"
)

// exchange is one request and, once the origin has admitted it, the socket
// that it became. It is the ResponseWriter that ReverseProxy gets, which hands
// the user's connection over through Hijack.
type exchange struct {
	http.ResponseWriter
	in     *http.Request // as it came: the site answers this one, not what was rewritten
	proxy  *Proxy
	ctx    context.Context // ends the socket, by cancel
	cancel context.CancelFunc
	uncut  func() bool // stops what closes user when ctx ends
	origin net.Conn    // the connection that the request went out on
	user   *end        // nil until Hijack
	far    *end        // nil until takeOver
	moved  atomic.Bool
	watch  atomic.Pointer[time.Timer] // nil: no socket
}

type exchangeKey struct{}

// Unwrap lets http.ResponseController flush.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Hijack is called once the origin has switched protocols. What the user sent
// before it heard of that is kept: ReverseProxy reads the connection alone and
// would lose what net/http has buffered.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := buffered.Reader.Peek(buffered.Reader.Buffered())
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	x.user = newEnd(conn, slices.Clone(early), x.proxy.count.up, &x.moved)
	// ReverseProxy closes the far end alone, and goes on to wait for a user whose
	// origin has ended in order.
	x.uncut = context.AfterFunc(x.ctx, func() { conn.Close() })
	return x.user, buffered, nil
}

// errSwitch means that the origin switched protocols on no connection we know.
var errSwitch = errors.New("origin switches protocols out of turn")

// takeOver makes the origin's answer 101 into the socket's far end. The end
// has two owners: ReverseProxy closes it, and the watch below ends the socket
// if nothing moves.
func (x *exchange) takeOver(res *http.Response) error {
	if x.origin == nil || !isSocket(x.in) {
		return errSwitch
	}
	far := newEnd(x.origin, readAhead(res.Body, x.origin), x.proxy.count.down, &x.moved)
	x.far, res.Body = far, far
	x.proxy.count.opened.Inc()
	x.proxy.count.open.Inc()
	x.moved.Store(true)
	place := x.proxy.users.Enter(userOf(x.in), struct{}{}, x.cancel)
	watch := time.AfterFunc(time.Hour, x.idle)
	x.watch.Store(watch)
	watch.Reset(x.proxy.idle) // only now: idle looks for the timer
	far.closed = sync.OnceFunc(func() {
		x.watch.Store(nil)
		watch.Stop()
		x.proxy.count.open.Dec()
		place.Leave()
	})
	return nil
}

// userOf is whose socket r asked for, by its token: the origin has believed that, or there
// would be no socket. 0 if there is none.
func userOf(r *http.Request) uint32 {
	cookie, err := r.Cookie(wire.TokenCookie)
	if err != nil {
		return 0
	}
	text, _, _ := wire.CutAhead(cookie.Value)
	token, err := wire.ParseToken(text)
	if err != nil {
		return 0
	}
	return token.User()
}

// finish ends the socket, if there is one, and waits for those who copy from one
// end to the other: ReverseProxy waits for one of the two when that fails.
func (x *exchange) finish() {
	if x.uncut != nil {
		x.uncut()
	}
	for _, e := range []*end{x.user, x.far} {
		if e != nil {
			e.Close()
		}
	}
	for _, e := range []*end{x.user, x.far} {
		if e != nil && e.copying.Swap(true) {
			<-e.copied
		}
	}
}

// idle runs once a period and ends the socket if nothing has moved in it.
func (x *exchange) idle() {
	watch := x.watch.Load()
	switch {
	case watch == nil: // ended meanwhile
	case x.moved.Swap(false):
		watch.Reset(x.proxy.idle)
	default:
		x.proxy.count.ended.Inc()
		x.cancel()
	}
}

// sockets are the exchanges that are or want to become WebSockets.
type sockets struct {
	running sync.WaitGroup // one for each that is open

	mu      sync.Mutex // guards the following
	open    map[*exchange]struct{}
	closing bool // nobody is admitted any more
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
	if s.open == nil {
		s.open = map[*exchange]struct{}{}
	}
	s.open[x] = struct{}{}
	s.running.Add(1)
	return true
}

func (s *sockets) leave(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
	s.running.Done()
}

func (s *sockets) drain(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	s.running.Wait() // one that end has ended leaves at once: both its connections are closed
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut {
		return ctx.Err()
	}
	return nil
}

// end ends all sockets.
func (s *sockets) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.open {
		s.cut = true
		x.cancel()
	}
}

// end is one of a socket's two connections. ReverseProxy copies with io.Copy
// and a fresh 32 KiB buffer each way; io.Copy leaves the copying to a source
// that has WriteTo, so end decides: an end that waits holds smallRead bytes, and
// a full buffer is borrowed only while there is something in it.
//
// One goroutine may read while another writes, as with any net.Conn.
type end struct {
	net.Conn
	ahead  []byte             // came with the HTTP headers; read first
	count  prometheus.Counter // of bytes read here
	moved  *atomic.Bool       // tells the watch
	small  [smallRead]byte
	plain  *netpoll.Conn // nil: not a plain TCP connection
	closed func()        // called by each Close; may be nil

	copying atomic.Bool   // WriteTo has begun, or is to do nothing
	copied  chan struct{} // closed by WriteTo
}

// smallRead holds a chat message or a keep-alive whole: one read, no buffer
// borrowed.
const smallRead = 512

func newEnd(c net.Conn, ahead []byte, count prometheus.Counter, moved *atomic.Bool) *end {
	netpoll.Tune(c)
	return &end{Conn: c, ahead: ahead, count: count, moved: moved, plain: netpoll.NewConn(c, pool{}.Get, pool{}.Put), copied: make(chan struct{})}
}

// Close may be called more than once.
func (e *end) Close() error {
	err := e.Conn.Close()
	if e.closed != nil {
		e.closed()
	}
	return err
}

// CloseWrite tells the peer that no more comes: a FIN, or TLS's close_notify.
func (e *end) CloseWrite() error {
	if c, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return e.Conn.Close()
}

// WriteTo passes on all that is read until the peer half-closes, which is no error.
// It is called once.
func (e *end) WriteTo(to io.Writer) (int64, error) {
	if e.copying.Swap(true) {
		return 0, net.ErrClosed
	}
	defer close(e.copied)
	n, err := e.pass(to, e.ahead)
	e.ahead = nil
	total := int64(n)
	for err == nil {
		n, err = e.step(to)
		total += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

// step waits for bytes and passes them on.
func (e *end) step(to io.Writer) (int, error) {
	if e.plain != nil {
		return e.plainStep(to)
	}
	n, err := e.Conn.Read(e.small[:])
	if n < smallRead || err != nil {
		return e.passThen(to, e.small[:n], err)
	}
	full := pool{}.Get()
	defer pool{}.Put(full)
	n = copy(full, e.small[:])
	more, err := readNow(e.Conn, e.Conn, full[n:])
	return e.passThen(to, full[:n+more], err)
}

func (e *end) plainStep(to io.Writer) (int, error) {
	full, n, err := e.plain.Read(0, fullRead)
	if err != nil {
		return 0, err
	}
	defer pool{}.Put(full)
	return e.pass(to, full[:n])
}

// passThen passes b on and returns the first of the write's and the read's errors.
func (e *end) passThen(to io.Writer, b []byte, read error) (int, error) {
	n, err := e.pass(to, b)
	if err == nil {
		err = read
	}
	return n, err
}

func (e *end) pass(to io.Writer, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	e.moved.Store(true)
	e.count.Add(float64(len(b)))
	if d, ok := to.(*end); ok {
		to = d.Conn
	}
	return to.Write(b)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// readNow reads what from has decrypted or buffered already and does not wait:
// above all the rest of a TLS record. c is the connection below from.
func readNow(from io.Reader, c net.Conn, b []byte) (int, error) {
	if err := c.SetReadDeadline(longAgo); err != nil {
		return 0, err
	}
	n, err := from.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return n, errors.Join(err, c.SetReadDeadline(time.Time{}))
}

// readAhead returns what the transport read behind the headers of an answer
// 101, at most its 4 KiB buffer. An error comes again at the next read.
func readAhead(body io.Reader, c net.Conn) []byte {
	b := make([]byte, 4<<10)
	n, _ := readNow(body, c, b)
	if n == 0 {
		return nil
	}
	return b[:n:n]
}

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
