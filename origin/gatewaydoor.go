package origin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/handover"
	"culvert/internal/session"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// gatewayDoor takes what functions hand on. It comes by connections of API Gateway,
// in any order, and each connection is a carrier from its hello on. The methods may
// be called by many goroutines.
type gatewayDoor struct {
	admission *admission
	fleet     *fleet
	checker   *wire.Checker
	poster    *poster
	metrics   *metrics
	coming    *share.Strangers // bodies on their way, of which nobody knows yet who sends them
	taking    *taking          // bodies of functions
	tasks     *tasks.Group     // they watch connections

	mu     sync.Mutex // guards the following
	conns  map[string]*connection
	closed bool
}

// connection is one of API Gateway's that has said hello.
type connection struct {
	id      string
	user    uint32
	token   wire.Token // of its hello
	conn    *transport.CallbackConn
	carrier *carrier.Carrier
	pace    *pace
	texts   *share.Account[uint32] // that wait for API Gateway
	over    atomic.Bool            // API Gateway has told its end
}

const (
	// inFlight bounds the posts of one connection, and with them the bytes that
	// wait: 128 KiB each. At 50 ms a post they carry 15 MB/s.
	inFlight = 8
	// bodyWait is how long a body may take: functions send theirs at once.
	bodyWait = 2 * time.Second
	// takeWait is how long a body may wait for a place once it is known to be a function's.
	takeWait = 5 * time.Second
)

// serve answers what a function of ours hands on: 204 if it was taken, 410 if its
// connection is not here or not let in, 503 if there is no place for it. It returns
// false, and has answered nothing, to anything else.
func (g *gatewayDoor) serve(w http.ResponseWriter, r *http.Request) bool {
	if !mayBeHanded(r) {
		return false
	}
	body, putBack := bodyFor(r.ContentLength)
	defer putBack()
	if g.read(w, r, body) != nil {
		return false
	}
	h, err := g.checker.Check(body, time.Now())
	if err != nil {
		return false
	}
	status := g.inTurn(r, h, body)
	g.metrics.gotHanded(status)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Connection", "close") // another origin may be behind the same address
	}
	w.WriteHeader(status)
	return true
}

// inTurn is handle once there is a place for the body.
func (g *gatewayDoor) inTurn(r *http.Request, h wire.Handed, body []byte) int {
	up, err := wire.ParseUp(h.Text)
	if err != nil && h.Event == wire.Message {
		return http.StatusGone
	}
	ctx, cancel := context.WithTimeout(r.Context(), takeWait)
	defer cancel()
	leave, ok := g.taking.begin(ctx, g.userOf(h, up), int64(cap(body)))
	if !ok {
		return http.StatusServiceUnavailable
	}
	defer leave()
	return g.handle(r, h, up, body)
}

// userOf is whom a message counts for: the user of its connection, or that its token names; 0 if
// it is for another origin.
func (g *gatewayDoor) userOf(h wire.Handed, up wire.Up) uint32 {
	if c := g.find(h.Conn); c != nil {
		return c.user
	}
	if token, err := wire.ParseToken(up.Token); err == nil {
		return token.User()
	}
	return 0
}

// smallBody is up to how large a body has a buffer of its own size.
const smallBody = 8 << 10

var handedBodies = sync.Pool{New: func() any { return new([wire.MaxHanded]byte) }}

// bodyFor is a buffer for a body, and what takes it back.
func bodyFor(size int64) (body []byte, putBack func()) {
	if size <= smallBody {
		return make([]byte, size), func() {}
	}
	buf := handedBodies.Get().(*[wire.MaxHanded]byte)
	return buf[:size], func() { handedBodies.Put(buf) }
}

// mayBeHanded leaves to the site what net/http would not read whole before it
// answers: it waits for a body with any other request, too.
func mayBeHanded(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/" && r.Header.Get("Expect") == "" &&
		r.ContentLength > 0 && r.ContentLength <= wire.MaxHanded
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// read reads r's body. Where many are on their way one that shows nothing gives way to
// another, so that a function's, which is there at once, does not wait for a stranger's.
func (g *gatewayDoor) read(w http.ResponseWriter, r *http.Request, body []byte) error {
	d := deadline{set: http.NewResponseController(w).SetReadDeadline}
	d.until(time.Now().Add(bodyWait))
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	network, within := share.Prefix(from.Addr())
	place := g.coming.Enter(network, within, func() { d.until(longAgo) })
	defer place.Leave()
	_, err := io.ReadFull(r.Body, body)
	d.over(err == nil)
	return err
}

// deadline is that of a body, until it has been read: net/http goes on reading, and what
// fails then ends the request.
type deadline struct {
	set func(time.Time) error // not every ResponseWriter has one; the server's own is behind it

	mu     sync.Mutex // guards the following
	isOver bool
}

func (d *deadline) until(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isOver {
		_ = d.set(t)
	}
}

// over has no deadline set any more, and what there is taken away where the body is whole.
func (d *deadline) over(isWhole bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.isOver = true; isWhole {
		_ = d.set(time.Time{})
	}
}

// handle does what h says and returns the answer's status. body is h as it was
// signed.
func (g *gatewayDoor) handle(r *http.Request, h wire.Handed, up wire.Up, body []byte) int {
	if h.Event == wire.Disconnect {
		g.disconnected(h.Conn)
		return http.StatusNoContent
	}
	if up.Token != "" {
		return g.hello(r, h.Conn, up, body)
	}
	if c := g.find(h.Conn); c != nil {
		return c.deliver(up)
	}
	return g.passOn(r, up, body)
}

// passOn passes a message for a connection that is not here on to the origin that
// its ticket names, once.
func (g *gatewayDoor) passOn(r *http.Request, up wire.Up, body []byte) int {
	owner, elsewhere := g.fleet.owner(r, up.Ticket)
	if !elsewhere {
		return http.StatusGone
	}
	status, err := g.fleet.passMessage(r.Context(), owner.At, body)
	if err != nil {
		return http.StatusGone
	}
	return status
}

// hello makes a connection's carrier, or finds the one that this hello has made
// before. A hello whose ticket names another origin belongs there, if that is
// still there.
func (g *gatewayDoor) hello(r *http.Request, id string, up wire.Up, body []byte) int {
	now := time.Now()
	b, ok := g.admission.verify(up.Token, now)
	if !ok {
		return http.StatusGone
	}
	if c := g.find(id); c != nil {
		return c.again(&b, up)
	}
	if !g.admission.take(&b, id, now) {
		return g.late(id, &b, up)
	}
	owner, elsewhere := g.fleet.owner(r, up.Ticket)
	if elsewhere && owner.User == b.user {
		status, err := g.fleet.passMessage(r.Context(), owner.At, body)
		switch {
		case errors.Is(err, handover.ErrSilent):
			return http.StatusServiceUnavailable
		case err == nil && status == http.StatusNoContent:
			return status
		} // else the owner is gone, or about to go and does not want it
	}
	c, status := g.connection(id, &b, up.Ticket)
	if c == nil {
		return status
	}
	return c.again(&b, up)
}

// late is a hello whose token was used: for this very connection, a moment ago, or by
// somebody else.
func (g *gatewayDoor) late(id string, b *bearer, up wire.Up) int {
	if c := g.find(id); c != nil {
		return c.again(b, up)
	}
	return http.StatusGone
}

// connection returns the connection id, which it makes for b if it is new, or the
// status of the refusal.
func (g *gatewayDoor) connection(id string, b *bearer, ticket string) (*connection, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.conns[id]; c != nil {
		return c, 0
	}
	if g.closed || g.admission.draining.Load() && !g.fleet.isOwn(ticket, b.user) {
		return nil, http.StatusServiceUnavailable
	}
	c := &connection{id: id, user: b.user, token: b.token, pace: newPace(time.Now())}
	c.texts = g.poster.waiting.Open(b.user, c)
	c.conn = transport.NewCallbackConn(g.poster.to(c), inFlight, g.fleet.ticket(b))
	c.carrier = g.admission.newCarrier(c.conn, g.admission.party(session.Gateway, b), b)
	c.carrier.Start()
	g.conns[id] = c
	g.admission.taken.spend(&b.token)
	g.tasks.Go(func() { g.watch(c) })
	return c, 0
}

// again delivers a hello, which may come more than once, if its token made c.
func (c *connection) again(b *bearer, up wire.Up) int {
	if c.token != b.token {
		return http.StatusGone
	}
	return c.deliver(up)
}

// deliver gives the carrier a message and returns the answer's status.
func (c *connection) deliver(up wire.Up) int {
	if c.conn.Take(up) != nil {
		return http.StatusGone
	}
	return http.StatusNoContent
}

func (g *gatewayDoor) find(id string) *connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

// watch forgets c when its carrier ends, and has API Gateway close it unless that
// has told so itself: an answer of 410 may be wrong, and the client would wait.
func (g *gatewayDoor) watch(c *connection) {
	<-c.conn.Done()
	c.carrier.Close()
	defer c.texts.Close()
	g.mu.Lock()
	delete(g.conns, c.id)
	g.mu.Unlock()
	if !c.over.Load() {
		g.poster.hangUp(c.id)
	}
}

// disconnected may be told late, or of a connection that is not here.
func (g *gatewayDoor) disconnected(id string) {
	if c := g.find(id); c != nil {
		c.over.Store(true)
		c.carrier.Close()
	}
}

// refuse lets no connection in any more. The watches of those that are there have
// API Gateway close them when their carriers end, which hangUp does not let take
// long: a client that does not hear of it waits in vain.
func (g *gatewayDoor) refuse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// connections is how many there are.
func (g *gatewayDoor) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}
