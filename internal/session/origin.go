package session

import (
	"crypto/rand"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config is an origin's.
type Config struct {
	Owner [8]byte // names the origin's address to clients
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

	mu       sync.Mutex // guards the following, and each Session
	sessions map[sessionID]*Session
	named    map[[8]byte]*generation
	users    map[uint32][]*Session // the oldest first
	draining bool
}

type sessionID struct {
	user uint32
	i    [16]byte
}

// Session is one, at the origin: what tunnels belong to.
type Session struct {
	User   uint32
	origin *Origin
	id     sessionID

	root     [32]byte
	proven   bool
	newest   atomic.Pointer[generation] // proved, as before is
	before   *generation
	unproven *generation
	tunnels  Window    // that have begun
	held     int       // carriers and tunnels
	idle     time.Time // since when held is 0
}

// NewOrigin makes an origin that knows nobody.
func NewOrigin(cfg Config) *Origin { return newOrigin(cfg, rand.Reader) }

func newOrigin(cfg Config, random io.Reader) *Origin {
	o := &Origin{cfg: cfg, random: random, sessions: map[sessionID]*Session{},
		named: map[[8]byte]*generation{}, users: map[uint32][]*Session{}}
	_, err := io.ReadFull(random, o.process[:])
	must(0, err)
	return o
}

// Begin reports whether a tunnel of that number may begin: each does once. One that
// has begun and lives is the same; one that is over is Unknown.
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
	for _, s := range o.sessions {
		if s.over(now) {
			o.drop(s)
			continue
		}
		for _, g := range s.generations() {
			if g != nil && now.Sub(g.born) >= GenerationKept {
				o.erase(g)
			}
		}
	}
}

func (s *Session) over(now time.Time) bool {
	limit := SessionIdle
	if !s.proven {
		limit = ProveWithin
	}
	return s.held == 0 && now.Sub(s.idle) >= limit
}

// Drain refuses new sessions from now on. Those that are there go on.
func (o *Origin) Drain() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.draining = true
}

// Sessions is how many there are.
func (o *Origin) Sessions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.sessions)
}

func (o *Origin) erase(g *generation) {
	if g != nil {
		g.erase()
		delete(o.named, g.name)
	}
}

func (o *Origin) drop(s *Session) {
	for _, g := range s.generations() {
		o.erase(g)
	}
	delete(o.sessions, s.id)
	all := o.users[s.User]
	i := slices.Index(all, s)
	if o.users[s.User] = slices.Delete(all, i, i+1); len(all) == 1 {
		delete(o.users, s.User)
	}
}

// session finds or makes the one of an Agree. A session that is proved goes on, and by
// its root alone; any other begins.
func (o *Origin) session(user uint32, h hello, now time.Time) (s *Session, known bool, root [32]byte, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := sessionID{user, h.i}
	if s = o.sessions[id]; s != nil {
		if s.proven && !h.on {
			err = ErrProof
		}
		return s, s.proven, s.root, err
	}
	if o.draining || !o.room(user) {
		return nil, false, root, ErrBusy
	}
	s = &Session{User: user, origin: o, id: id, idle: now}
	o.sessions[id] = s
	o.users[user] = append(o.users[user], s)
	return s, false, root, nil
}

// room makes room for another session of user, among the user's own: the oldest goes
// that has proved nothing, or that nobody holds.
func (o *Origin) room(user uint32) bool {
	all, unproven := o.users[user], 0
	for _, s := range all {
		unproven += int(bit(!s.proven))
	}
	if len(all) < UserSessions && unproven < UserUnproven {
		return true
	}
	for _, s := range all {
		if !s.proven || unproven < UserUnproven && s.held == 0 {
			o.drop(s)
			return true
		}
	}
	return false
}

// adopt keeps a generation that has proved nothing. It displaces nothing but another such.
func (o *Origin) adopt(s *Session, g *generation, now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sessions[s.id] != s || o.named[g.name] != nil || s.find(g.j) != nil && s.find(g.j) != s.unproven {
		return ErrProof
	}
	if s.unproven != nil {
		delete(o.named, s.unproven.name) // the carrier that agreed on it may still prove it
	}
	g.session, g.born, s.unproven = s, now, g
	o.named[g.name] = g
	return nil
}

// find is the generation that a Join of user names; nil if there is none.
func (o *Origin) find(user uint32, name [8]byte) *generation {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g := o.named[name]; g != nil && g.session.User == user {
		return g
	}
	return nil
}

// prove is told that a record under g has opened. n is of the carrier's Join, which is
// taken once; 0 if there was none, or it has been taken.
func (o *Origin) prove(g *generation, n uint32) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := g.session
	if o.sessions[s.id] != s || n != 0 && !g.joins.Take(uint64(n)) {
		return ErrProof
	}
	if g.proved {
		return nil
	}
	if g.first == s.proven {
		return ErrProof // it comes from no root, and the session has one, or the other way round
	}
	g.proved = true
	return o.promote(s, g)
}

// promote makes g the newest, unless it was agreed on before that.
func (o *Origin) promote(s *Session, g *generation) error {
	newest := s.newest.Load()
	if newest != nil && g.born.Before(newest.born) {
		return nil
	}
	if !s.proven {
		root, err := g.root()
		if err != nil {
			return err
		}
		s.root, s.proven = root, true
	}
	o.erase(s.before)
	s.newest.Store(g)
	s.before = newest
	o.named[g.name] = g
	if s.unproven == g {
		s.unproven = nil
	}
	return nil
}

// called finds a generation by its number.
func (s *Session) called(j byte) *generation {
	s.origin.mu.Lock()
	defer s.origin.mu.Unlock()
	return s.find(j)
}

func (s *Session) find(j byte) *generation {
	for _, g := range s.generations() {
		if g != nil && g.j == j {
			return g
		}
	}
	return nil
}

func (s *Session) generations() [3]*generation {
	return [3]*generation{s.unproven, s.newest.Load(), s.before}
}
