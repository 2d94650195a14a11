package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/front"
	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// activeCarrier is a carrier that is being served.
type activeCarrier struct {
	*carrier.Carrier
	home      *home         // whose tunnels it carries
	ticket    func() string // the newest that came by it; empty: none did
	led       bool          // a ticket led it to its origin
	front     int           // by which it was reached
	gateway   bool          // it is one of the gateway door
	isBulk    bool          // it is one of those by which bulk is spread
	cost      int           // bytes that it took before the first record
	brought   func() int    // bytes that have come in all; nil: it is not known
	parted    atomic.Bool   // it is about to be ended, as its budget is spent
	displaced atomic.Bool   // it is about to be ended, as another needs its place
	began     time.Time     // when it was dialled
	until     time.Time     // when it is to be replaced, if gateway; for one of bulk, pool.mu guards it
	ended     bool          // it has ended; guarded by pool.mu
	why       error         // the reason of its end; guarded by pool.mu until the pool is lost
}

// wasLost reports whether the carrier died because messages were lost: functions
// failed.
func (l *activeCarrier) wasLost() bool { return errors.Is(l.why, transport.ErrLost) }

// wasAstray reports whether the carrier led to another origin than its home.
func (l *activeCarrier) wasAstray() bool { return errors.Is(l.why, session.ErrElsewhere) }

// API Gateway ends a connection after two hours. A random time before that
// keeps a household's carriers from being renewed all at once.
const (
	gatewayLife = 100 * time.Minute
	gatewayMore = 15 * time.Minute
	renewRetry  = time.Minute
	renewLimit  = 30 * time.Second // for the search for a successor
)

func anyFront(link.Front) bool      { return true }
func streamFront(f link.Front) bool { return !f.Gateway }

// dial makes a carrier to h by the first front that answers, of those that may
// be taken, and serves it. It is called by keepMain or a task, so that Run waits
// for what it starts.
func (c *Client) dial(ctx context.Context, h *home, may func(link.Front) bool) (*activeCarrier, error) {
	return c.dialFor(ctx, wanted{home: h, may: may})
}

// wanted is what is to be dialled.
type wanted struct {
	home *home                 // whose origin it leads to
	may  func(link.Front) bool // which fronts may be taken
	bulk *spread               // whose tunnels go by it alone; nil: all may

	visits bool // the page of a front is asked for before its first socket
}

func (c *Client) dialFor(ctx context.Context, w wanted) (*activeCarrier, error) {
	c.lookAround()
	if w.bulk == nil {
		c.spread.others.Add(1)
		defer c.spread.others.Add(-1)
		ctx = context.WithValue(ctx, claimKey{}, new(claim))
	}
	sock, at, err := c.reach(ctx, w)
	if err != nil {
		if wasAnswered(err) {
			c.health.answered(false)
		}
		return nil, err
	}
	c.health.reached(at)
	c.redials.opened(at)
	l, h := sock.ahead, w.home
	if l == nil {
		l = c.newCarrier(sock, at, h)
		budget := c.budgets.left(l, w.bulk != nil)
		if budget == 0 {
			l.Play(&sock.token)
		}
		h.paths.follow(l, budget)
		l.SayKnown(c.fronts.known())
	} else {
		l.Release()
	}
	l.isBulk = w.bulk != nil
	h.begin(l)
	c.keepAll(at)
	if h != c.pool.current() {
		l.Retire() // it has been left meanwhile
	}
	h.session.SendClosures(l.Carrier)
	l.Ping()
	if w.bulk != nil && l.gateway { // its first message names it
		w.bulk.take(l)
	}
	c.tasks.Go(func() { c.serve(l) })
	return l, nil
}

// newCarrier makes a carrier of what a front has opened, or is asked to.
func (c *Client) newCarrier(sock *socket, at int, h *home) *activeCarrier {
	l := &activeCarrier{home: h, ticket: sock.offered, led: sock.led, front: at, began: time.Now()}
	door := session.Stream
	if l.gateway = c.fronts.at(at).Gateway; l.gateway {
		door = session.Gateway
		l.until = time.Now().Add(gatewayLife + rand.N(gatewayMore))
	}
	if sock.party == nil {
		sock.party = h.session.Party(door, sock.token)
	}
	l.Carrier = h.session.NewCarrier(sock.Transport, sock.party)
	l.ShapeFor(c.fronts.at(at).Host)
	l.OpenedIn(sock.took)
	if sock.told != nil {
		tunnel.Told(l.Carrier, *sock.told)
	}
	l.cost, l.brought = sock.cost, sock.brought
	if !c.cfg.LinkAlone {
		l.Fronts = c.onFronts
	}
	return l
}

// serve carries frames until l ends, then finds its tunnels another carrier.
func (c *Client) serve(l *activeCarrier) {
	why := l.Serve()
	if l.gateway {
		c.health.answered(l.Live())
	}
	c.cfg.Log.Debug("carrier ended", "front", l.front+1, "brought", l.total(), "cause", l.Cause().String(), "reason", front.Plainly(why))
	c.ends.add(l, time.Now())
	c.redials.ended(l)
	c.budgets.passed(l)
	c.learnRest(l)
	l.home.end(l, why)
	c.pool.onDeath(l, why)
	c.adoptOrphans()
}

// tries are dials for something that has no carrier of its own yet, by one
// goroutine at a time. They hurry only if the last was a while ago: where they
// lead there may be nobody, or one that does not take it.
type tries struct {
	wait dial.Backoff
	last time.Time
}

// next pauses before the next of t.
func (c *Client) next(t *tries) {
	t.wait.First = retryFirst
	if time.Since(t.last) > max(stable, 2*t.wait.Next) {
		t.wait.Next = 0
	}
	c.pause(c.running, &t.wait, true, nil)
	t.last = time.Now()
}

// renewAfter is how often to ask for main's successor.
func (c *Client) renewAfter(main *activeCarrier) time.Duration {
	every := renewRetry
	switch {
	case !main.gateway:
		return 1 << 62 // never
	case c.fronts.has(streamFront):
		every = backToStream
	}
	return every - rand.N(every/4)
}

// renew makes main's successor, through the stream door unless its time is over or its front is gone, and
// moves its tunnels there while bytes flow. It returns nil if main is to stay, or
// if over was closed: tunnels wait when main has ended, so the search does not.
func (c *Client) renew(ctx context.Context, main *activeCarrier, over <-chan struct{}) *activeCarrier {
	may, now := streamFront, time.Now()
	switch {
	case c.fronts.isGone(main.front):
		may = anyFront
	case now.After(main.until):
		may = anyFront
	case now.Before(c.health.streamAt()):
		return nil
	}
	next, err := c.dialUntil(ctx, over, main.home, may)
	if err != nil {
		return nil
	}
	c.migrate(main, next)
	if !next.gateway {
		c.pool.renewBulkAt(now)
	}
	c.leaveGone(next)
	return next
}

// dialUntil dials until over is closed, or renewLimit has passed.
func (c *Client) dialUntil(ctx context.Context, over <-chan struct{}, h *home, may func(link.Front) bool) (*activeCarrier, error) {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	var guard sync.WaitGroup
	defer guard.Wait()
	defer cancel()
	guard.Go(func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	})
	return c.dial(ctx, h, may)
}

// adoptOrphans attaches the tunnels without a carrier to the main one, or has
// them fetched if another origin than its own holds them.
func (c *Client) adoptOrphans() {
	main := c.pool.view().main
	for _, t := range c.table.Orphans() {
		switch h := c.pool.homeOf(t.Session()); {
		case (h == nil || h == c.pool.current()) && c.spread.has(t) && (c.spread.rejoin(t) || t.Service.Kind != wire.Chat || !c.spread.isBarred(c)):
			// the next of its carriers takes it, if none has; but chat, which may move much, too, waits for none that may not begin
		case main != nil && !main.Dead() && main.takes(t):
			t.Attach(main.Carrier, true)
			if t.IsBulk() || t.Service.Kind == wire.Media && c.areTight() {
				c.promote(t)
			}
		case t.Session() == nil || h == c.pool.current():
			c.pool.want() // the next main carrier takes it
			if h != nil && t.IsBulk() {
				c.promote(t) // or one of its own before that
			}
		case h == nil:
			t.Reset(wire.Expired)
		default:
			c.fetch(h)
		}
	}
}

// takes reports whether t may be attached: it has begun at the same origin, or
// not at all, and the origin takes new ones.
func (l *activeCarrier) takes(t *tunnel.Tunnel) bool {
	if s := t.Session(); s != nil {
		return s == l.home.session
	}
	return !l.Draining()
}

// fetch makes a carrier to h for the tunnels that it has, as new ones go
// elsewhere.
func (c *Client) fetch(h *home) {
	if !h.seek() {
		return
	}
	c.task(func() {
		for again := true; again; {
			c.fetchAll(h)
			h.found()
			again = c.running.Err() == nil && h.needsCarrier() && h.seek() // that carrier has died meanwhile
		}
	})
}

func (c *Client) fetchAll(h *home) {
	for c.running.Err() == nil && h.needsCarrier() {
		c.next(&h.tries)
		l := h.working()
		if l == nil {
			ctx, cancel := context.WithTimeout(c.running, renewLimit)
			l, _ = c.dial(ctx, h, anyFront)
			cancel()
		}
		if l == nil {
			continue
		}
		h.tell()
		for _, t := range h.session.Orphans() {
			t.Attach(l.Carrier, true)
		}
		h.session.SendClosures(l.Carrier)
	}
}

// tendHomes has every origin know how tunnels of its ended whose carriers died
// with the news, gives up the sessions whose origin is not found again, and
// forgets homes that were left and are over.
func (c *Client) tendHomes() {
	for _, h := range c.pool.allHomes() {
		switch now := c.pool.view(); {
		case h.isLost():
			c.giveUp(h)
		case !h.session.HasClosures():
		case now.main != nil && !now.main.Dead() && now.main.home == h:
			h.session.SendClosures(now.main.Carrier)
		case h != c.pool.current() && h.needsCarrier():
			c.fetch(h)
		}
	}
	for _, h := range c.pool.takeOver() {
		h.session.GiveUp(wire.Expired)
	}
}

// giveUp resets the tunnels of a home whose origin is not found again.
func (c *Client) giveUp(h *home) {
	c.leaveHome(h)
	h.session.GiveUp(wire.Expired)
}
