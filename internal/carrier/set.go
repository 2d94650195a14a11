package carrier

import (
	"maps"
	"slices"
	"sync"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
)

// Set is the living carriers of one end, and what they share. It waits for their
// goroutines. Its methods may be called by many goroutines.
type Set struct {
	handler Handler
	tasks   *tasks.Group
	asks    bool // this end asks whether the peer is there: it is the client
	poller  netpoll.Poller
	waiters sync.Pool // of *writeWaiter; a set's own, as their channels may belong to a test's bubble

	mu     sync.RWMutex // guards the following; never held across I/O
	living map[*Carrier]struct{}
	byUser map[uint32]int // how many of them
	closed bool
}

// NewSet makes a set whose carriers report to h and run in g. isClient says that
// its carriers keep themselves alive by Check.
func NewSet(h Handler, g *tasks.Group, isClient bool) *Set {
	s := &Set{handler: h, tasks: g, asks: isClient, living: map[*Carrier]struct{}{}, byUser: map[uint32]int{}}
	s.poller.Go = g.Go
	return s
}

// Poller is where the carriers wait for messages; streams may wait there, too.
func (s *Set) Poller() *netpoll.Poller { return &s.poller }

func (s *Set) add(c *Carrier) {
	s.mu.Lock()
	s.living[c] = struct{}{}
	s.byUser[c.User]++
	closed := s.closed
	s.mu.Unlock()
	if closed {
		c.Close()
	}
}

func (s *Set) remove(c *Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.living, c)
	if s.byUser[c.User]--; s.byUser[c.User] == 0 {
		delete(s.byUser, c.User)
	}
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

// Of is how many carriers of one user live.
func (s *Set) Of(user uint32) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byUser[user]
}

// All lists the carriers that live.
func (s *Set) All() []*Carrier {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Keys(s.living))
}

// Sweep ends the carriers on which nothing came for too long, or a message has
// been missing for too long.
func (s *Set) Sweep(now time.Time) {
	for _, c := range s.All() {
		if c.Quiet(now) > c.profile.Silent || c.transport.Overdue(now) > maxOverdue {
			c.Close()
		}
	}
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
