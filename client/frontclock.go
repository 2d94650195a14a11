package client

import (
	"sync"
	"time"
)

// FrontOffset is how far a front's Date may move the time in tokens for that front.
// Whoever is at the front can have tokens from so far ahead, and no others.
const FrontOffset = 24 * time.Hour

// dateError is what a Date may be off by without meaning anything: it has whole
// seconds, and was on its way for a while.
const dateError = 30 * time.Second

// frontClock is the time in the tokens for one front: the machine's, which may be off
// by hours, put right by the front's. Nothing else asks it. Several goroutines may use
// one.
type frontClock struct {
	built time.Time // when the program was: a machine whose clock is before that has none

	mu     sync.Mutex    // guards the following
	ahead  time.Duration // of the last Date to the machine's clock
	offset time.Duration // of the time in tokens
}

// read is the time for a token, when the machine's clock shows machine.
func (c *frontClock) read(machine time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mayBe(c.offset, machine) { // the clock was set meanwhile
		return machine
	}
	return machine.Add(c.offset)
}

// mayBe reports whether a front may move the time by offset.
func (c *frontClock) mayBe(offset time.Duration, machine time.Time) bool {
	return offset.Abs() <= FrontOffset || machine.Before(c.built)
}

// Learn takes the Date of an answer, and reports whether another try makes sense: by
// a time that differs, and that the front may set.
func (c *frontClock) Learn(date, machine time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = date.Sub(machine)
	if !c.mayBe(c.ahead, machine) || date.Before(c.built) || (c.ahead-c.offset).Abs() <= dateError {
		return false
	}
	c.offset = c.ahead
	return true
}

// gap is how far the front's clock was ahead of the machine's, if that means anything.
func (c *frontClock) gap() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead.Abs() <= dateError {
		return 0
	}
	return c.ahead.Round(time.Second)
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
