package session

import (
	"cmp"
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/seal"
)

// Config is an origin's.
type Config struct {
	Address string // the origin's, by which clients tell it from others
	// Allow is asked before an agreement is computed, which costs five multiplications
	// on the curve, but for those by which a session goes on; false ends the carrier. nil allows all. It must not call the Origin.
	Allow func(user uint32, now time.Time) bool
}

// Origin is the sessions of an origin's process. It may be used by many goroutines.
type Origin struct {
	cfg     Config
	random  io.Reader
	process [16]byte

	mu       sync.Mutex            // guards the following, and each Session
	users    map[uint32][]*Session // the oldest first; a user without any has no entry
	draining atomic.Bool
}

// Session is one, at the origin: what tunnels belong to.
type Session struct {
	seal.Hidden
	User    uint32
	origin  *Origin
	i       [16]byte
	dropped atomic.Bool
	moved   atomic.Int64 // when a stream's byte moved last, or the session began; Unix ns
	living  atomic.Int64 // tunnels

	// Origin.mu guards the following.
	root        [32]byte      // zero: it has proved nothing
	generations []*generation // that are not erased, the oldest first
	tunnels     Window        // that have begun
	held        int           // carriers and tunnels
	idle        time.Duration // since started: from when on held is 0
	renewed     *renewals     // nil: it never was
	displaced   func()        // is told that another session has this one's place; nil: nobody is
}

// NewOrigin makes an origin that knows nobody.
func NewOrigin(cfg Config) *Origin { return newOrigin(cfg, rand.Reader) }

func newOrigin(cfg Config, random io.Reader) *Origin {
	o := &Origin{cfg: cfg, random: random, users: map[uint32][]*Session{}}
	seal.Must(io.ReadFull(random, o.process[:]))
	return o
}

// Begin reports whether a tunnel of that number may begin: each does once. One that
// has begun and lives is the same; one that is over is wire.Unknown.
func (s *Session) Begin(tunnel uint32) bool {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	return tunnel != 0 && s.tunnels.Take(uint64(tunnel))
}

// mayRenew allows a session a few renewals in a row, and one in some seconds for long. A client
// renews in five minutes, and perhaps by several carriers.
func (s *Session) mayRenew(now time.Time) bool {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	if s.renewed == nil {
		s.renewed = new(renewals)
	}
	return s.renewed.take(now)
}

// renewals are when a session was renewed last.
type renewals struct {
	at [4]time.Time // by turns
	n  uint         // how often it was
}

// take notes another; false if there were too many of late.
func (r *renewals) take(now time.Time) bool {
	at := &r.at[r.n%uint(len(r.at))]
	if now.Sub(*at) < renewSpan && r.n >= uint(len(r.at)) {
		return false
	}
	*at = now
	r.n++
	return true
}

// renewSpan is how long as many renewals take as a session may have in a row.
const renewSpan = 20 * time.Second

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
	s.idle = now.Sub(started)
}

// OnDisplaced has f called when another session of the user's takes the place of this one, or has it. It must not
// wait, nor call s.
func (s *Session) OnDisplaced(f func()) {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	s.displaced = f
	if s.dropped.Load() {
		f()
	}
}

// Moved notes when a stream's byte moved, in Unix ns.
func (s *Session) Moved(now int64) { s.moved.Store(now) }

// Living counts tunnels that begin, or end.
func (s *Session) Living(n int64) { s.living.Add(n) }

// Sweep drops what has idled and erases what is old. Call it every ten seconds or so.
func (o *Origin) Sweep(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, all := range o.users {
		for _, s := range slices.Clone(all) {
			s.erase(func(g *generation) bool { return now.Sub(g.born) >= GenerationKept })
			limit := SessionIdle
			if !s.proven() {
				limit = ProveWithin
			}
			if s.held == 0 && now.Sub(started)-s.idle >= limit {
				o.drop(s)
			}
		}
	}
}

// Drain refuses new sessions from now on. Those that are there go on.
func (o *Origin) Drain() { o.draining.Store(true) }

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

func (s *Session) proven() bool { return s.root != [32]byte{} }

// erase erases and forgets the generations that are over.
func (s *Session) erase(over func(*generation) bool) {
	s.generations = slices.DeleteFunc(s.generations, func(g *generation) bool {
		if over(g) {
			g.erase()
			return true
		}
		return false
	})
}

// session finds or makes the one of an Agree, and tells its root. A session that is
// proven goes on, and by its root alone; any other begins.
func (o *Origin) session(user uint32, h hello, now time.Time) (*Session, [32]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.users[user] {
		switch {
		case s.i != h.i:
		case s.proven() && !h.goesOn():
			return nil, s.root, ErrProof
		default:
			return s, s.root, nil
		}
	}
	if o.draining.Load() {
		return nil, [32]byte{}, ErrBusy
	}
	o.room(user)
	s := &Session{User: user, origin: o, i: h.i, idle: now.Sub(started)}
	s.Moved(now.UnixNano())
	o.users[user] = append(o.users[user], s)
	return s, s.root, nil
}

// room makes room for another session of user's that has proved nothing yet: of too many the oldest goes.
func (o *Origin) room(user uint32) {
	var unproven []*Session
	for _, s := range o.users[user] {
		if !s.proven() {
			unproven = append(unproven, s)
		}
	}
	if len(unproven) >= UserUnproven {
		o.drop(unproven[0])
	}
}

// displace makes room for a session that has proved itself: of too many of its user's the one goes that
// nobody holds, or that has moved no stream's byte for longest. Whoever has the link, too, cannot keep another
// device out by holding as many as there may be.
func (o *Origin) displace(by *Session, now time.Time) {
	all := slices.DeleteFunc(slices.Clone(o.users[by.User]), func(s *Session) bool { return !s.proven() || s == by })
	if len(all) < UserSessions {
		return
	}
	payer := slices.MinFunc(all, func(a, b *Session) int {
		return cmp.Or(int(bit(a.held > 0))-int(bit(b.held > 0)), int(bit(a.isBusy(now)))-int(bit(b.isBusy(now))), cmp.Compare(a.moved.Load(), b.moved.Load()))
	})
	o.drop(payer)
	if payer.displaced != nil {
		payer.displaced()
	}
}

// isBusy reports that the session has tunnels and has moved something of late.
func (s *Session) isBusy(now time.Time) bool {
	return s.living.Load() > 0 && now.UnixNano()-s.moved.Load() < int64(busyFor)
}

// busyFor is for how long a session with tunnels that has moved something is no worse than any other.
const busyFor = time.Minute

// adopt keeps a generation that has proved nothing yet. It displaces none of those that
// have: a carrier that is slow may turn to one after others have turned to a later.
func (o *Origin) adopt(s *Session, g *generation) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	same := func(other *generation) bool { return other.j == g.j }
	if s.dropped.Load() || s.proven() && slices.ContainsFunc(s.generations, same) {
		return ErrProof
	}
	g.session = s
	if s.generations = append(s.generations, g); len(s.generations) > maxGenerations {
		i := slices.IndexFunc(s.generations[:maxGenerations], func(g *generation) bool { return !g.proved })
		oldest := s.generations[max(0, i)] // if all have proved themselves, the oldest: carriers do not need it to go on
		s.erase(func(g *generation) bool { return g == oldest })
	}
	return nil
}

// find is the generation of user that fits; nil if there is none.
func (o *Origin) find(user uint32, fits func(*generation) bool) *generation {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.users[user] {
		if i := slices.IndexFunc(s.generations, fits); i >= 0 {
			return s.generations[i]
		}
	}
	return nil
}

// prove is told that a record under g has opened. n is of the carrier's Join, which is
// taken once; 0 if there was none, or it has been taken.
func (o *Origin) prove(g *generation, n uint32) (err error) {
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
		s.root, err = g.derive("culvert 2 root")
		s.erase(func(other *generation) bool { return other != g }) // they would begin the session, too
		o.displace(s, g.born)
	}
	g.proved = true
	return err
}
