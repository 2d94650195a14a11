package session

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Config is an origin's.
type Config struct {
	Address string // the origin's, by which clients tell it from others
	// Allow is asked before an agreement is computed, which costs five multiplications
	// on the curve; false ends the carrier. nil allows all. It must not call the Origin.
	Allow func(user uint32, now time.Time) bool
}

const (
	// UserSessions bounds the sessions of one user, one a process of a client.
	UserSessions = 64
	// UserUnproven bounds those of them that have proved nothing: the newest stay.
	UserUnproven = 8
	// SessionIdle is how long a session is kept that nobody holds.
	SessionIdle = 10 * time.Minute
)

// Origin is the sessions of an origin's process. It may be used by many goroutines.
type Origin struct {
	cfg     Config
	random  io.Reader
	process [16]byte

	mu       sync.Mutex            // guards the following, and each Session
	users    map[uint32][]*Session // the oldest first; a user without any has no entry
	draining bool
}

// Session is one, at the origin: what tunnels belong to.
type Session struct {
	seal.Hidden
	User   uint32
	origin *Origin
	i      [16]byte

	generations
	root    [32]byte // zero: it has proved nothing
	dropped atomic.Bool
	tunnels Window    // that have begun
	held    int       // carriers and tunnels
	idle    time.Time // since when held is 0
}

// NewOrigin makes an origin that knows nobody.
func NewOrigin(cfg Config) *Origin { return newOrigin(cfg, rand.Reader) }

func newOrigin(cfg Config, random io.Reader) *Origin {
	o := &Origin{cfg: cfg, random: random, users: map[uint32][]*Session{}}
	must(io.ReadFull(random, o.process[:]))
	return o
}

// Begin reports whether a tunnel of that number may begin: each does once. One that
// has begun and lives is the same; one that is over is wire.Unknown.
func (s *Session) Begin(tunnel uint32) bool {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	return tunnel != 0 && s.tunnels.Take(uint64(tunnel))
}

// Hold keeps the session while a carrier or tunnel of it lives, until Release.
func (s *Session) Hold() {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	s.held++
}

// Release undoes one Hold.
func (s *Session) Release(now time.Time) {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	s.held--
	s.idle = now
}

// Sweep drops what has idled and erases what is old. Call it every ten seconds or so.
func (o *Origin) Sweep(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, all := range o.users {
		for _, s := range slices.Clone(all) {
			if s.expire(now); s.over(now) {
				o.drop(s)
			}
		}
	}
}

func (s *Session) over(now time.Time) bool {
	limit := SessionIdle
	if !s.proven() {
		limit = ProveWithin
	}
	return s.held == 0 && now.Sub(s.idle) >= limit
}

func (s *Session) proven() bool { return s.root != [32]byte{} }

// Drain refuses new sessions from now on. Those that are there go on.
func (o *Origin) Drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.draining = true
}

// Sessions is how many there are.
func (o *Origin) Sessions() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, all := range o.users {
		n += len(all)
	}
	return n
}

func (o *Origin) drop(s *Session) {
	s.dropped.Store(true)
	s.erase(func(*generation) bool { return true })
	others := slices.DeleteFunc(o.users[s.User], func(other *Session) bool { return other == s })
	if o.users[s.User] = others; len(others) == 0 {
		delete(o.users, s.User)
	}
}

// session finds or makes the one of an Agree, and tells its root. A session that is
// proven goes on, and by its root alone; any other begins.
func (o *Origin) session(user uint32, h hello, now time.Time) (*Session, [32]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.users[user] {
		if s.i == h.I && s.proven() && !h.goesOn() {
			return nil, s.root, ErrProof
		}
		if s.i == h.I {
			return s, s.root, nil
		}
	}
	if o.draining || !o.room(user) {
		return nil, [32]byte{}, ErrBusy
	}
	s := &Session{User: user, origin: o, i: h.I, idle: now}
	o.users[user] = append(o.users[user], s)
	return s, s.root, nil
}

// room makes room for another session of user, among the user's own: the oldest goes
// that has proved nothing, or that nobody holds.
func (o *Origin) room(user uint32) bool {
	all, unproven := o.users[user], 0
	for _, s := range all {
		unproven += int(bit(!s.proven()))
	}
	if len(all) < UserSessions && unproven < UserUnproven {
		return true
	}
	for _, s := range all {
		if !s.proven() || unproven < UserUnproven && s.held == 0 {
			o.drop(s)
			return true
		}
	}
	return false
}

// adopt keeps a generation that has proved nothing yet.
func (o *Origin) adopt(s *Session, g *generation, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s.dropped.Load() || s.proven() && s.find(g.j) != nil {
		return ErrProof
	}
	g.session, g.born = s, now
	s.add(g, now)
	return nil
}

// named is the generation that a Join of user names; nil if there is none.
func (o *Origin) named(user uint32, name [8]byte) *generation {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.users[user] {
		for _, g := range s.generations {
			if g.name == name {
				return g
			}
		}
	}
	return nil
}

// called finds a generation by its number.
func (s *Session) called(j byte) *generation {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	return s.find(j)
}

// prove is told that a record under g has opened. n is of the carrier's Join, which is
// taken once; 0 if there was none, or it has been taken.
func (o *Origin) prove(g *generation, n uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := g.session
	switch {
	case s.dropped.Load() || n != 0 && !g.joins.Take(uint64(n)):
		return ErrProof
	case g.proved:
		return nil
	case g.first == s.proven():
		return ErrProof // it comes from no root, and the session has one, or the other way round
	case !s.proven():
		root, err := g.derive(labelRoot)
		if err != nil {
			return err
		}
		s.root = root
		s.erase(func(other *generation) bool { return other != g }) // they begin the session, too
	}
	g.proved = true
	return nil
}

// OriginCarrier is an origin's end of one carrier. One goroutine at a time may write
// (Head, Seal, SealMessage) and one may read (Receive, Open, Early, Again).
type OriginCarrier struct {
	end
	origin *Origin
	pair   *seal.Pair
	user   uint32
	until  time.Time // it is to have proved itself

	// Guarded by end.mu.
	session    *Session // nil: none yet
	n          uint32   // of its Join, until that is taken
	message    []byte   // the Agree, which the gateway door may bring again
	agreed     []byte   // the answer to it
	challenged bool
	unknown    bool // to be told
}

// Carrier makes the origin's end of a carrier that user's token has opened, which
// proved itself by a key of pair.
func (o *Origin) Carrier(d Door, token wire.Token, user uint32, p *seal.Pair, now time.Time) *OriginCarrier {
	c := &OriginCarrier{origin: o, pair: p, user: user, until: now.Add(ProveWithin)}
	c.atOrigin, c.place, c.state = true, place{door: d, token: token}, Unproven
	if d == Stream {
		must(io.ReadFull(o.random, c.place.o[:]))
	}
	return c
}

// Late reports whether the carrier has had its time and proved nothing. End it.
func (c *OriginCarrier) Late(now time.Time) bool {
	return c.State() != Live && !now.Before(c.until)
}

// Session is what the carrier belongs to; nil while nothing is known of that. Only
// when the carrier is Live its user is charged, and frames of all kinds count.
func (c *OriginCarrier) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Early reports whether the record that was opened last may hold Open and Pad frames
// alone. The reader calls it.
func (c *OriginCarrier) Early() bool { return c.in.at != nil && c.in.at.of == nil }

// Head appends to b the plain messages that must go before the next record, if any,
// and reports whether a record may follow.
func (c *OriginCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place.door == Stream && !c.challenged {
		b = appendPlain(b, Challenge, c.place.o[:]...)
		c.challenged = true
	}
	switch {
	case c.state == Live:
		return c.turn(b), true
	case c.state == Answered && c.session.dropped.Load():
		c.state = Dead
	case c.state == Answered:
		if c.next != nil || c.place.door == Gateway { // once, or with each message
			b = appendPlain(b, Agreed, c.agreed...)
		}
		c.out.key, c.next = cmp.Or(c.next, c.out.key), nil
		return b, true
	case c.state == Unproven && c.unknown:
		c.unknown = false
		return appendPlain(b, Unknown), false
	}
	return b, false
}

// Receive takes a plain message. Errors are ErrOrder, ErrMessage, ErrProof and ErrBusy.
func (c *OriginCarrier) Receive(p Plain, body []byte, now time.Time) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ev, err := c.receive(p, body, now)
	return ev, c.fail(err)
}

func (c *OriginCarrier) receive(p Plain, body []byte, now time.Time) (Event, error) {
	gateway := c.place.door == Gateway && c.state != Dead
	switch {
	case !p.whole(body):
		return 0, ErrMessage
	case c.state == Unproven && p == Join:
		return c.join(body)
	case c.state == Unproven && p == Agree:
		return Speak, c.agree(body, now)
	case gateway && p == Agree && bytes.Equal(body, c.message): // again
		c.pick(early)
		return 0, nil
	case gateway && p == Join: // again, or another whose record will not open
		if c.in.at = nil; c.agreed == nil {
			c.pick(c.first)
		}
		return 0, nil
	case p == Turn && (c.state == Answered || c.state == Live):
		return 0, c.turnIn(body[0])
	}
	return 0, ErrOrder
}

// join believes nothing yet.
func (c *OriginCarrier) join(body []byte) (Event, error) {
	j, err := parse[join](body)
	if err != nil {
		return 0, err
	}
	g := c.origin.named(c.user, j.G)
	if g != nil {
		c.begin(g, j)
		c.n, c.session, c.state = j.N, g.session, Joined
		return 0, c.listen(g)
	}
	c.unknown = true
	return Speak, nil
}

func (c *OriginCarrier) agree(body []byte, now time.Time) error {
	a, err := c.agreement(body, c.place, now)
	if err != nil {
		return err
	}
	c.begin(a.generation, join{})
	c.session, c.state, c.unknown = a.session, Answered, false
	c.message, c.agreed = bytes.Clone(body), a.answer
	c.in, c.count = opener{}, 0
	if err := c.listen(a.generation); err != nil {
		return err
	}
	c.next, c.in.at.back = c.in.at.back, nil
	if c.in.at = a.early; a.early != nil {
		c.in.keys = append(c.in.keys, a.early)
	}
	return nil
}

// turnIn has the record at hand opened under the generation that a Turn names.
func (c *OriginCarrier) turnIn(j byte) error {
	if c.pick(int(j)) {
		return nil
	}
	g := c.session.called(j)
	if g == nil {
		return ErrOrder
	}
	return c.listen(g)
}

// listen has the record at hand opened under g, and readies what to answer by.
func (c *OriginCarrier) listen(g *generation) error {
	out, in, err := c.keys(g)
	if err != nil {
		return err
	}
	in.back = out
	c.in.add(in)
	c.pick(int(g.j))
	return nil
}

// agreement is what an Agree has come to.
type agreement struct {
	*generation
	answer []byte
	early  *key // nil: early records are of a session that is not known here any more
}

// read opens the body of an Agree that stands at a place. What is garbage, or was made
// for another carrier, costs a hash.
func (c *OriginCarrier) read(body []byte, at place, now time.Time) (*noise.HandshakeState, hello, error) {
	if len(body) != agreeLen || !hmac.Equal(body[:macLen], at.mac(c.pair, body[macLen:])) {
		return nil, hello{}, ErrProof
	}
	if allow := c.origin.cfg.Allow; allow != nil && !allow(c.user, now) {
		return nil, hello{}, ErrBusy
	}
	hs := c.pair.Handshake(false, at.prologue(), c.origin.random)
	plain, _, _, err := hs.ReadMessage(nil, body[macLen:])
	if err != nil || !c.pair.IsPeer(hs.PeerStatic()) {
		return nil, hello{}, ErrProof
	}
	h, err := parse[hello](plain)
	return hs, h, err
}

// agreement answers an Agree that stands at a place.
func (c *OriginCarrier) agreement(body []byte, at place, now time.Time) (a agreement, err error) {
	o := c.origin
	hs, h, err := c.read(body, at, now)
	if err != nil {
		return a, err
	}
	s, root, err := o.session(c.user, h, now)
	known := root != [32]byte{}
	if err != nil || at.inside && (s != c.session || !known) {
		return a, cmp.Or(err, ErrProof)
	}
	if known || !h.goesOn() {
		a.early = earlyKey(h, root)
	}
	sealed, first, second, err := hs.WriteMessage(nil, marshal(answer{o.process, c.pair.Owner(o.cfg.Address), bit(known)}))
	if err != nil {
		return a, ErrProof
	}
	a.generation, a.answer = newGeneration(hs, first, second, root, h), sealed
	return a, o.adopt(s, a.generation, now)
}

// Open opens a record in place, of a message's number at the gateway door; nil without
// an error is one that was dropped unread. Errors are ErrRecord and ErrProof, and
// ErrRepeated, which is to be ignored.
func (c *OriginCarrier) Open(number uint32, sealed []byte) ([]byte, error) {
	n, k := c.numbered(number), c.in.at
	if k == nil {
		return nil, nil // nothing has come that says what records are
	}
	plain, err := c.in.open(n, sealed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && k.of != nil && k.used == 0 { // once for each generation that the client turns to
		if err = c.origin.prove(k.of, c.n); err == nil {
			c.n, c.state = 0, Live
		}
	}
	if err = c.opened(n, err); err != nil {
		return nil, err
	}
	return plain, nil
}

// Again answers the body of an Again frame with that of an Answer frame. The carrier
// is Live.
func (c *OriginCarrier) Again(body []byte, now time.Time) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.place
	at.inside = true
	if c.state != Live {
		return nil, c.fail(ErrOrder)
	}
	a, err := c.agreement(body, at, now)
	return a.answer, c.fail(err)
}
