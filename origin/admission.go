package origin

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/share"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// admission decides whose carriers are let in, by either door, makes them, and charges
// them to their users once they have proved themselves. Its methods may be called by
// many goroutines.
type admission struct {
	gates    wire.GateKeys
	pairs    *pairs
	taken    *takenTokens
	revoked  func(user uint32) bool
	fronts   func(seal.PublicKey, uint32) ([]byte, uint32) // nil: there are none to tell of
	sessions *session.Origin
	table    *tunnel.Table
	unproven *share.Pool[uint32, struct{}] // carriers, of each user; all may be at once, as when an edge that was gone is back
	metrics  *metrics
	scarce   func() bool // open files are
	draining atomic.Bool // new carriers are told that their tunnels are wanted elsewhere
}

// newAdmission makes one without its table and metrics.
func newAdmission(cfg Config) *admission {
	agreements := share.NewRates[uint32](agreeRate, agreeBurst)
	return &admission{
		gates: cfg.Gates, revoked: cfg.Revoked, fronts: cfg.Fronts, scarce: cfg.Scarce,
		pairs: newPairs(append([]seal.Master{cfg.Master}, cfg.Older...)...),
		taken: newTakenTokens(), unproven: share.NewPool[uint32, struct{}](max(leastUnproven, cfg.MaxCarriers)),
		sessions: session.NewOrigin(session.Config{Address: cfg.address(), Allow: agreements.Allow}),
	}
}

// bearer is the user whose token has let a request in.
type bearer struct {
	user  uint32
	token wire.Token
	gate  wire.KeyNumber // of the gate's key that has signed the token
	pair  *seal.Pair     // whose key has proved the token
}

// verify says whose token this is, if that user has made it and may use it. Nothing is
// remembered of a token that is refused.
func (a *admission) verify(text string, now time.Time) (b bearer, ok bool) {
	b, why := a.judge(text, now)
	a.metrics.refusedToken(why)
	return b, why == ""
}

// judge is verify without counting; why is empty if b may come in. Whatever the text is, even
// none, it costs the same hashes, so that no stranger learns by the time how near a token was.
// The curve is asked only of a token that a gate lets in.
func (a *admission) judge(text string, now time.Time) (b bearer, why string) {
	if len(text) != wire.TokenLen {
		text = noToken
	}
	token, err := wire.ParseToken(text)
	gate, admitted := token.AdmittedBy(a.gates, now)
	revoked := a.revoked(token.User())
	b = bearer{user: token.User(), token: token, gate: gate}
	if admitted && !revoked {
		b.pair = a.pairs.prove(&token)
	} else {
		a.pairs.pretend(&token)
	}
	switch {
	case err != nil:
		return b, malformed
	case !admitted:
		return b, notAdmitted
	case revoked:
		return b, isRevoked
	case b.pair == nil:
		return b, notProved
	}
	return b, ""
}

// noToken is what is judged in the place of what cannot be one. It is malformed.
var noToken = strings.Repeat("A", wire.TokenLen)

// take takes b's token, which was verified, for the connection conn of API Gateway, or
// for a request of the stream door if conn is empty. It returns false if it was used.
func (a *admission) take(b *bearer, conn string, now time.Time) bool {
	fresh := a.taken.take(&b.token, conn, now)
	if !fresh {
		a.metrics.refusedToken(takenBefore)
	}
	return fresh
}

// leastUnproven is how many carriers may be unproven at least.
const leastUnproven = 64

// party is this end of the carrier that b's token opens.
func (a *admission) party(door session.Door, b *bearer) *session.OriginCarrier {
	return a.sessions.Carrier(door, b.token, b.user, b.pair, time.Now())
}

// newCarrier makes b's carrier over sock, which is charged to nobody until it has proved
// itself. A token may be copied, so until then it takes nothing of the user's share; and a
// copy does not keep the user out, as the newest stay. Where open files are scarce, unproven carriers do not become more. The
// caller starts it.
func (a *admission) newCarrier(sock transport.Transport, oc *session.OriginCarrier, b *bearer) *carrier.Carrier {
	c := a.table.NewCarrier(sock, oc, b.user)
	if a.scarce() {
		a.unproven.Shed()
	}
	place := a.unproven.Enter(b.user, struct{}{}, func() { c.Close() })
	c.Settled = place.Leave
	if pair := b.pair; a.fronts != nil {
		c.Newest = func() ([]byte, uint32) { return a.fronts(pair.PublicKey(), c.User) }
	}
	return c
}

// proved lets a carrier stay that has proved itself and now counts, if its user has room,
// and sends what a client should know first. Else it ends c and returns false.
func (a *admission) proved(c *carrier.Carrier) bool {
	if !tunnel.SessionOf(c).Admit(c) {
		a.metrics.refused(wire.Busy)
		c.Close()
		return false
	}
	if a.draining.Load() {
		c.Drain()
	}
	c.PingBeside() // its answer tells the round trip, which windows need
	return true
}

// drain tells the clients of all carriers, those that come later too, to open new
// tunnels elsewhere.
func (a *admission) drain() {
	a.sessions.Drain()
	a.draining.Store(true)
	for _, c := range a.table.Carriers.All() {
		if c.Live() { // the others hear it when they have proved themselves
			c.Drain()
		}
	}
}

// sweep forgets what is over, tells of fronts that came later, and ends the carriers of users who were
// revoked after they had come. Their tunnels end later, when no carrier has come for them.
func (a *admission) sweep(now time.Time) {
	for _, c := range a.table.Carriers.All() {
		if a.revoked(c.User) {
			c.Close()
		}
		if c.Live() { // the others ask when they have proved themselves
			c.OfferFronts()
		}
	}
	a.sessions.Sweep(now)
	a.taken.sweep(now)
}

// pairs are the keys that an origin and its users share, by which users prove their
// tokens. They are kept for users who have proved one: to make a pair costs a
// multiplication on the curve.
type pairs struct {
	masters []seal.Pairs // the newest first
	nobody  *seal.Pair   // of no user: what refused tokens are tried with

	mu sync.Mutex // guards the following
	of map[uint32][]*seal.Pair
}

// newPairs are those of users whose links are by one of masters, the newest first.
func newPairs(masters ...seal.Master) *pairs {
	p := &pairs{nobody: seal.NewMaster().Pair(0), of: map[uint32][]*seal.Pair{}}
	for _, m := range masters {
		p.masters = append(p.masters, m.Pairs())
	}
	return p
}

// maxPairs bounds the users whose pairs are kept: about 12 MiB for each master, of users whose carriers take far more.
const maxPairs = 64 << 10

// prove returns the pair that t was made with; nil if it was made with none.
func (p *pairs) prove(t *wire.Token) *seal.Pair {
	user := t.User()
	known := p.known(user)
	var tried []*seal.Pair
	for i, m := range p.masters {
		if i < len(known) {
			tried = known[:i+1]
		} else {
			tried = append(slices.Clip(tried), m.Of(user))
		}
		if t.Proved(tried[i].ProofKey()) {
			p.keep(user, tried)
			return tried[i]
		}
	}
	return nil
}

// pretend does for a token that is refused what prove does for one of a user who is known.
func (p *pairs) pretend(t *wire.Token) {
	p.known(t.User())
	t.Proved(p.nobody.ProofKey())
	p.keep(t.User(), nil) // looks whether there is something to keep
}

// known are user's pairs by the first of the masters, as far as they are kept.
func (p *pairs) known(user uint32) []*seal.Pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[user]
}

// keep remembers a user who has proved a token. Of too many any one is forgotten.
func (p *pairs) keep(user uint32, tried []*seal.Pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(tried) <= len(p.of[user]) {
		return
	}
	if len(p.of) >= maxPairs {
		for other := range p.of {
			delete(p.of, other)
			break
		}
	}
	p.of[user] = tried
}
