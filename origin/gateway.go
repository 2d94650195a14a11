package origin

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// gateway is the gateway door: functions hand on what comes by connections of
// API Gateway, in any order, and each connection is a carrier from its hello on.
// Its methods may be called by many goroutines.
type gateway struct {
	*Origin
	checker *wire.Checker
	poster  *poster
	owners  *http.Client
	reading chan struct{} // holds one for each body in memory

	watches sync.WaitGroup // one for each connection

	mu     sync.Mutex // guards the following
	conns  map[string]*connection
	closed bool
}

// connection is one of API Gateway's that has said hello.
type connection struct {
	id      string
	user    uint32
	posts   *relay.Posts
	carrier *relay.Carrier
	pace    *pace
	over    atomic.Bool // API Gateway has told its end
}

const (
	// inFlight bounds the posts of one connection, and with them the bytes that
	// wait: 128 KiB each. At 50 ms a post they carry 15 MB/s.
	inFlight = 8
	// bodyWait is for a body: functions send theirs at once, and a stranger who
	// does not keeps a place from them.
	bodyWait = 2 * time.Second
	// readWait is for a place among them.
	readWait = 5 * time.Second
)

func newGateway(o *Origin, cfg Config) *gateway {
	g := &gateway{
		Origin:  o,
		checker: wire.NewChecker(cfg.Gates),
		poster:  newPoster(cfg.Gateway, o.metrics, cfg.Log, relay.NewKept(cfg.Windows/waitingPart)),
		owners:  newOwnerClient(),
		reading: make(chan struct{}, cfg.readings()),
		conns:   map[string]*connection{},
	}
	return g
}

// serve answers what a function of ours hands on: 204 if it was taken, 410 if
// its connection is not here or not let in, 503 if there is no place for it. It
// returns false, and has answered nothing, to anything else.
func (g *gateway) serve(w http.ResponseWriter, r *http.Request) bool {
	if !mayBeHanded(r) || !g.begin(r) {
		return false
	}
	defer func() { <-g.reading }()
	buf := handedBodies.Get().(*[wire.MaxHanded]byte)
	defer handedBodies.Put(buf)
	body := buf[:r.ContentLength]
	// Not every ResponseWriter has deadlines; the server's own is behind it.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWait))
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return false
	}
	h, err := g.checker.Check(body, time.Now())
	if err != nil {
		return false
	}
	status := g.take(r, h, body)
	g.metrics.tookHanded(status)
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Connection", "close") // another origin may be behind the same address
	}
	w.WriteHeader(status)
	return true
}

var handedBodies = sync.Pool{New: func() any { return new([wire.MaxHanded]byte) }}

// mayBeHanded leaves to the site what net/http would not read whole before it
// answers: to wait for a body is what it does with any other request, too.
func mayBeHanded(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Path == "/" && r.Header.Get("Expect") == "" &&
		r.ContentLength > 0 && r.ContentLength <= wire.MaxHanded
}

// begin waits for a place for r's body. The server's own deadline for reading a
// request bounds how long r keeps it.
func (g *gateway) begin(r *http.Request) bool {
	select {
	case g.reading <- struct{}{}:
		return true
	default:
	}
	wait := time.NewTimer(readWait)
	defer wait.Stop()
	select {
	case g.reading <- struct{}{}:
		return true
	case <-r.Context().Done():
	case <-wait.C:
	}
	return false
}

// take does what h says and returns the answer's status. body is h, signed.
func (g *gateway) take(r *http.Request, h wire.Handed, body []byte) int {
	if h.Event == wire.Disconnect {
		g.disconnected(h.Conn)
		return http.StatusNoContent
	}
	up, err := wire.ParseUp(h.Text)
	if err != nil {
		return http.StatusGone
	}
	if up.Token != "" {
		return g.hello(r, h.Conn, up, body)
	}
	c := g.find(h.Conn)
	if c == nil {
		return g.passMessage(r, up, body)
	}
	return c.take(up)
}

// hello makes a connection's carrier, or finds the one that this hello has made
// before. A hello whose ticket names another origin belongs there, if that is
// still there.
func (g *gateway) hello(r *http.Request, id string, up wire.Up, body []byte) int {
	user, ok := g.verify(up.Token)
	if !ok {
		return http.StatusGone
	}
	owner, elsewhere := g.owner(r, up.Ticket)
	if elsewhere && owner.User == user && g.find(id) == nil {
		status, err := g.passOn(r.Context(), owner.At, body)
		if status == http.StatusNoContent || err != nil && !errors.Is(err, errNoOwner) {
			return status
		} // else the owner is gone, or about to go and does not want it
	}
	c, status := g.connection(id, user, up.Ticket)
	if c == nil {
		return status
	}
	return c.take(up)
}

// connection returns the connection id of user, which it makes if it is new.
func (g *gateway) connection(id string, user uint32, ticket string) (*connection, int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c := g.conns[id]; c != nil {
		if c.user != user {
			return nil, http.StatusGone
		}
		return c, 0
	}
	if g.closed || g.full(user) || g.draining.Load() && !g.holds(ticket, user) {
		return nil, http.StatusServiceUnavailable
	}
	c := g.newConnection(id, user)
	g.conns[id] = c
	g.watches.Go(func() { g.watch(c) })
	return c, 0
}

// holds reports whether ticket leads user here: to tunnels that this origin
// holds.
func (g *gateway) holds(ticket string, user uint32) bool {
	owner, err := g.tickets.Open(ticket, time.Now())
	return err == nil && owner == wire.Owner{At: g.cfg.Advertise, User: user}
}

func (g *gateway) newConnection(id string, user uint32) *connection {
	c := &connection{id: id, user: user, pace: newPace(time.Now())}
	c.posts = relay.NewPosts(g.poster.to(c), inFlight, g.ticket(user))
	c.carrier = relay.NewCarrier(c.posts, g.table, user)
	g.greet(c.carrier)
	return c
}

// take gives the carrier a message.
func (c *connection) take(up wire.Up) int {
	if c.carrier.Dead() || c.posts.Take(c.carrier, up) != nil {
		return http.StatusGone
	}
	return http.StatusNoContent
}

func (g *gateway) find(id string) *connection {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conns[id]
}

// watch forgets c when its carrier ends, and has API Gateway close it unless that
// has told so itself: an answer of 410 may be wrong, and the client would wait.
func (g *gateway) watch(c *connection) {
	<-c.posts.Done()
	c.carrier.Close()
	g.mu.Lock()
	delete(g.conns, c.id)
	g.mu.Unlock()
	if !c.over.Load() {
		g.poster.hangUp(c.id)
	}
}

// disconnected may be told late, or of a connection that is not here.
func (g *gateway) disconnected(id string) {
	if c := g.find(id); c != nil {
		c.over.Store(true)
		c.carrier.Close()
	}
}

// close waits until API Gateway has been told to close all connections, whose
// carriers have ended: a client that does not hear of it waits in vain.
func (g *gateway) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	all := make(chan struct{})
	go func() { g.watches.Wait(); close(all) }()
	late := time.NewTimer(hangFor)
	defer late.Stop()
	select {
	case <-all:
	case <-late.C:
	}
}

// connections is how many there are.
func (g *gateway) connections() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.conns)
}
