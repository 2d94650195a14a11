package carrier

import (
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
)

// Set is the living carriers of one end, and what they share. It waits for their
// goroutines. Its methods may be called by many goroutines.
type Set struct {
	Ended func(Cause) // told of each carrier that ends; must not block; nil: nobody is. Set before the first carrier

	active func() time.Time // when a byte of a stream last moved
	brisk  atomic.Int64     // client: when Check last found that much had come, Unix ns
	tasks  *tasks.Group
	asks   bool // this end asks whether the peer is there: it is the client
	poller netpoll.Poller

	idle      int       // carriers and streams that have become idle since the last release; who sweeps has it
	busy      int       // those that were not idle at the last sweep, and streams that have become so since
	released  time.Time // when it was
	releasing atomic.Bool
	took      atomic.Int64 // by the last one, ns

	mu       sync.RWMutex // guards the following; never held across I/O
	living   map[*Carrier]struct{}
	byUser   map[uint32]count // how many of them
	unproven int
	closed   bool
}

// count is of one user's carriers: those whose peer has proved itself, and the others.
type count struct{ proved, unproved int }

// NewSet makes a set whose carriers run in g. active says when a byte of a stream last
// moved. isClient says that its carriers keep themselves alive by Check.
func NewSet(active func() time.Time, g *tasks.Group, isClient bool) *Set {
	s := &Set{active: active, tasks: g, asks: isClient, living: map[*Carrier]struct{}{}, byUser: map[uint32]count{}}
	s.poller.Go = g.Brief
	return s
}

// Poller is where the carriers wait for messages; streams may wait there, too.
func (s *Set) Poller() *netpoll.Poller { return &s.poller }

func (s *Set) add(c *Carrier) {
	s.mu.Lock()
	s.living[c] = struct{}{}
	s.change(c.User, 0, 1)
	closed := s.closed
	s.mu.Unlock()
	if closed {
		c.Close()
	}
}

func (s *Set) remove(c *Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.living[c]; !ok {
		return
	}
	delete(s.living, c)
	if c.counted {
		s.change(c.User, -1, 0)
	} else {
		s.change(c.User, 0, -1)
		c.tellSettled()
	}
}

// proved is told that c's peer has proved itself.
func (s *Set) proved(c *Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.living[c]; ok && !c.counted {
		c.counted = true
		s.change(c.User, 1, -1)
		c.tellSettled()
	}
}

// tellSettled tells that nobody waits for the peer's proof any more. s.mu is held.
func (c *Carrier) tellSettled() {
	if c.Settled != nil {
		c.Settled()
		c.Settled = nil // it keeps the place, which is no small part of an idle carrier
	}
}

// change counts. s.mu is held.
func (s *Set) change(user uint32, proved, unproved int) {
	n := s.byUser[user]
	n.proved, n.unproved = n.proved+proved, n.unproved+unproved
	if s.byUser[user] = n; n == (count{}) {
		delete(s.byUser, user)
	}
	s.unproven += unproved
}

// Len is how many carriers live.
func (s *Set) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.living)
}

// Users is how many users have a carrier.
func (s *Set) Users() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.byUser)
}

// Of is how many carriers of one user live whose peer has proved itself.
func (s *Set) Of(user uint32) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byUser[user].proved
}

// Unproven is how many carriers of one user live whose peer has not proved itself.
func (s *Set) Unproven(user uint32) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byUser[user].unproved
}

// AllUnproven is Unproven of all users.
func (s *Set) AllUnproven() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.unproven
}

// All lists the carriers that live.
func (s *Set) All() []*Carrier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.living))
}

// Sweep ends the carriers on which nothing came for too long, whose peer has not proved
// itself in time, or of which a message has been missing for too long. The others drop
// what they can make anew while nothing moves.
func (s *Set) Sweep(now time.Time) {
	s.busy = 0
	for _, c := range s.All() {
		switch {
		case c.Quiet(now) > c.profile.Silent:
			c.CloseFor(Silent)
		case c.overdue(now) > maxOverdue:
			c.CloseFor(Lost)
		case !c.Live() && c.party.Late(now):
			c.CloseFor(Unproven)
		case c.party.Over(now):
			c.CloseFor(EndedHere)
		default:
			if used, idle := c.rest(); !s.asks {
				s.busy, s.idle = s.busy+used, s.idle+idle
			}
		}
		if !s.asks && c.profile.Messages && c.Live() {
			c.askWhatCame(now)
		}
	}
}

const (
	// manyIdle carriers and streams have left ciphers, buffers and stacks of some megabytes together. Of many more it is
	// idlePart that is worth a release.
	manyIdle = 512
	idlePart = 4
	// fewIdle are worth one where hardly any others are busy: nothing makes garbage then, so that the collector would not come.
	fewIdle = 64
	// Between two releases are releaseEvery, or as many times as long as the last one took as releasePart says, but no
	// more than mostBetween.
	releaseEvery = 2 * time.Second
	mostBetween  = time.Minute
	releasePart  = 50
)

// Release returns to the system what many carriers and streams have left, and nobody needs now: alone, the collector waits
// two minutes. rested streams have become idle since the last time, of so many. Whoever sweeps calls it.
func (s *Set) Release(rested, streams int, now time.Time) {
	s.idle, s.busy = s.idle+rested, s.busy+rested
	between := max(releaseEvery, min(releasePart*time.Duration(s.took.Load()), mostBetween))
	enough := min(max(manyIdle, (s.Len()+streams)/idlePart), max(fewIdle, idlePart*s.busy))
	if s.idle < enough || now.Sub(s.released) < between || s.releasing.Swap(true) {
		return
	}
	s.idle, s.released = 0, now
	s.tasks.Go(func() {
		defer s.releasing.Store(false)
		debug.FreeOSMemory()
		s.took.Store(int64(time.Since(now)))
	})
}

// Close ends all carriers at once, and each that is made later. Its caller waits
// for their goroutines, which are the task group's.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.All() {
		c.Close()
	}
	s.poller.Close()
}
