package origin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/tunnel"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// acceptor is the far end of tunnels: it accepts them and dials what they lead to. Its
// methods may be called by many goroutines.
type acceptor struct {
	table   *tunnel.Table
	dial    func(context.Context, wire.Service) (net.Conn, error)
	revoked func(user uint32) bool
	scarce  func() bool // open files are
	metrics *metrics
	log     *slog.Logger

	dials    *dials
	rates    *share.Rates[uint32]
	early    *earlyTunnels
	refusing atomic.Bool   // no new tunnel is accepted any more
	noFile   atomic.Uint64 // tunnels refused for want of an open file
}

// newAcceptor makes one without its table and metrics. Its goroutines are by's and end
// with ctx.
func newAcceptor(ctx context.Context, cfg Config, by *tasks.Group) *acceptor {
	return &acceptor{
		dial: cfg.Dial, revoked: cfg.Revoked, scarce: cfg.Scarce, log: cfg.Log,
		dials: newDials(ctx, by), rates: share.NewRates[uint32](openRate, openBurst), early: newEarlyTunnels(cfg.MaxTunnels/4, by),
	}
}

// dialLimit bounds how long a client waits to hear that WhatsApp cannot be
// reached. The dialler's own limit is shorter.
const dialLimit = 15 * time.Second

// open accepts a tunnel, or refuses it. Dialling runs in a goroutine that ends before
// the tunnel idles: its stack would be the largest part of what a tunnel costs.
func (a *acceptor) open(c *carrier.Carrier, s *tunnel.Session, id uint32, svc wire.Service, early []byte) {
	key, proved := tunnelKey{s, id}, c.Live()
	if why := a.mayOpen(c, key, proved); why != 0 {
		a.metrics.refused(why)
		s.Refuse(c, id, why)
		return
	}
	t, ok := s.Accept(c, id, svc, early)
	if !ok {
		a.uncharge(key)
		return
	}
	if !proved {
		a.early.began(key, t)
	}
	a.metrics.opens.WithLabelValues(label(svc.Kind.String())).Inc()
	a.dials.run(key, svc.Kind == wire.Chat, func(ctx context.Context) { a.connect(ctx, t, svc) })
}

// mayOpen counts the tunnel if it is allowed, and says why it is not. Users may be
// revoked after their carrier has come.
func (a *acceptor) mayOpen(c *carrier.Carrier, key tunnelKey, proved bool) (why wire.Reason) {
	now := time.Now()
	switch {
	case a.revoked(c.User):
		return wire.Refused
	case a.refusing.Load():
		return wire.Busy
	case proved && a.rates.Allow(c.User, now) && key.session.Charge():
		return 0
	case !proved && a.early.add(c, key, now):
		return 0
	}
	return wire.Busy
}

// uncharge undoes what mayOpen has counted.
func (a *acceptor) uncharge(key tunnelKey) {
	if !a.early.remove(key) {
		key.session.Uncharge()
	}
}

// ended is told of each tunnel that was accepted and has ended.
func (a *acceptor) ended(e tunnel.End) {
	key := tunnelKey{e.Session, e.ID}
	a.dials.end(key)
	a.uncharge(key)
	a.metrics.ended(e)
	a.log.Info("tunnel ended", "tunnel", e)
}

// connect dials the service of a tunnel and joins the two.
func (a *acceptor) connect(ctx context.Context, t *tunnel.Tunnel, s wire.Service) {
	if t.IsOver() {
		return // before it was known here
	}
	if a.scarce() {
		a.spareFiles(t)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	stream, err := a.dial(ctx, s)
	switch {
	case err != nil && a.scarce(): // which may show as a name that does not resolve
		a.spareFiles(t)
	case errors.Is(err, whatsapp.ErrNotAllowed):
		t.Reset(wire.NotAllowed)
	case err != nil:
		t.Reset(wire.Unreachable)
	default:
		t.Join(stream)
	}
}

// spareFiles refuses a tunnel, as each takes an open file that those which there are may need. WhatsApp may well be
// reachable: the client is told that the origin is full.
func (a *acceptor) spareFiles(t *tunnel.Tunnel) {
	a.noFile.Add(1)
	a.metrics.refused(wire.Busy)
	t.Reset(wire.Busy)
}

// tunnelKey is which tunnel: numbers are of a session.
type tunnelKey struct {
	session *tunnel.Session
	number  uint32
}

// earlyTunnels are those that were begun by carriers which have not proved themselves:
// a first flight may be a copy of a user's, which costs a dial and is charged to nobody.
// A user is charged with them when the carrier has proved itself, or when a carrier
// serves them that has. Its methods may be called by many goroutines.
type earlyTunnels struct {
	rates *share.Rates[uint32]
	room  *share.Pool[uint32, *tunnel.Session]
	tasks *tasks.Group

	mu sync.Mutex                       // guards the following
	by map[*carrier.Carrier][]tunnelKey // all that each has begun
	of map[tunnelKey]*earlyTunnel       // those that nobody is charged with
}

// earlyTunnel is one of them, and its place among them.
type earlyTunnel struct {
	*tunnel.Tunnel // nil until it is accepted
	leave          func()
	displaced      bool
}

const (
	// earlyRate, a second, and earlyBurst bound a user's first flights apart from what
	// proved carriers open. The burst is of as many carriers as may be unproven at least.
	earlyRate  = 5
	earlyBurst = leastUnproven * wire.MaxEarlyOpens
	leastEarly = 2 * wire.MaxEarlyOpens
)

// newEarlyTunnels has room for so many, of which the oldest of whoever has most go.
func newEarlyTunnels(room int, by *tasks.Group) *earlyTunnels {
	return &earlyTunnels{
		rates: share.NewRates[uint32](earlyRate, earlyBurst), room: share.NewPool[uint32, *tunnel.Session](max(leastEarly, room)), tasks: by,
		by: map[*carrier.Carrier][]tunnelKey{}, of: map[tunnelKey]*earlyTunnel{},
	}
}

// add counts a tunnel that c begins, unless c has begun as many as it may.
func (e *earlyTunnels) add(c *carrier.Carrier, key tunnelKey, now time.Time) bool {
	if !e.rates.Allow(c.User, now) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.by[c]) >= wire.MaxEarlyOpens {
		return false
	}
	place := e.room.Enter(c.User, key.session, func() { e.tasks.Go(func() { e.displace(key) }) })
	e.by[c], e.of[key] = append(e.by[c], key), &earlyTunnel{leave: place.Leave}
	return true
}

// displace resets a tunnel that has lost its place.
func (e *earlyTunnels) displace(key tunnelKey) {
	e.mu.Lock()
	var t *tunnel.Tunnel
	if early := e.of[key]; early != nil {
		t, early.displaced = early.Tunnel, true
	}
	e.mu.Unlock()
	if t != nil {
		t.Reset(wire.Busy)
	}
}

// began notes the tunnel, unless it has ended already. One that has lost its place ends now.
func (e *earlyTunnels) began(key tunnelKey, t *tunnel.Tunnel) {
	e.mu.Lock()
	early := e.of[key]
	if early != nil {
		early.Tunnel = t
	}
	displaced := early != nil && early.displaced
	e.mu.Unlock()
	if displaced {
		t.Reset(wire.Busy)
	}
}

// remove forgets a tunnel that has ended; false if its user is charged with it.
func (e *earlyTunnels) remove(key tunnelKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.forget(key)
}

// forget is remove; e.mu is held.
func (e *earlyTunnels) forget(key tunnelKey) bool {
	t := e.of[key]
	if t != nil {
		t.leave()
	}
	delete(e.of, key)
	return t != nil
}

// proved charges c's user with the tunnels that c has begun and that live.
func (e *earlyTunnels) proved(c *carrier.Carrier) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, key := range e.by[c] {
		e.settle(key)
	}
	delete(e.by, c)
}

// settle charges a session's user with a tunnel. e.mu is held.
func (e *earlyTunnels) settle(key tunnelKey) {
	if e.forget(key) {
		key.session.ChargeAnyway()
	}
}

// sweep settles what has moved to a carrier that has proved itself, and forgets the
// carriers that have ended and of whose tunnels none is left.
func (e *earlyTunnels) sweep() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c, keys := range e.by {
		keys = slices.DeleteFunc(keys, func(key tunnelKey) bool {
			t := e.of[key]
			if t != nil && t.Tunnel != nil && isProved(t.Carrier()) {
				e.settle(key)
				t = nil
			}
			return t == nil
		})
		if e.by[c] = keys; len(keys) == 0 && c.Dead() {
			delete(e.by, c)
		}
	}
}

func isProved(c *carrier.Carrier) bool { return c != nil && c.Live() }
