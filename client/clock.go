package client

import (
	"sync"
	"time"
)

// clock learns how far the origin's clock is ahead of ours: a phone's may be
// off by hours, and tokens and handshakes hold the time.
type clock struct {
	now  func() time.Time
	tell func(time.Duration) // is told of each offset that is learned

	mu     sync.Mutex // guards the following
	offset time.Duration
}

// clockSlack is what is left alone: a Date header has whole seconds and was on
// its way for a while.
const clockSlack = 30 * time.Second

// learn returns whether there, the origin's time, is far from what we thought.
func (c *clock) learn(there time.Time) bool {
	if there.Sub(c.read()).Abs() < clockSlack {
		return false
	}
	c.set(there)
	return true
}

// set makes there the time.
func (c *clock) set(there time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = there.Sub(c.now())
	c.tell(c.offset)
}

// read is the origin's time, as far as it is known.
func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now().Add(c.offset)
}

// ahead is the offset that was learned.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset.Round(time.Second)
}

// sleeps notices that the machine slept: the wall clock went on, and the one
// that Go measures with did not.
type sleeps struct {
	wall  time.Time     // when this began, by the wall clock
	since time.Time     // the same moment, by Go's clock
	ahead time.Duration // what the wall clock had gained when it was last read
}

func newSleeps(wall time.Time) sleeps { return sleeps{wall: wall.Round(0), since: time.Now()} }

// longSleep is when a carrier is dead, as a rule: a NAT in between has forgotten
// it, or its other end has given it up.
const longSleep = time.Minute

// slept reports whether there was a long sleep since it was last asked. A wall
// clock that is set forward looks the same.
func (s *sleeps) slept(wall time.Time) bool {
	before := s.ahead
	s.ahead = wall.Round(0).Sub(s.wall) - time.Since(s.since)
	return s.ahead-before > longSleep
}
