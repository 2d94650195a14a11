package client

import "time"

// sleeps notices that the machine slept: the wall clock went on, and the one
// that Go measures with did not.
type sleeps struct {
	began time.Time     // by the wall clock
	since time.Time     // by the other
	ahead time.Duration // the wall clock was, when last asked
}

func newSleeps(wall time.Time) sleeps { return sleeps{began: wall.Round(0), since: time.Now()} }

// longSleep is when a carrier is dead, as a rule: a NAT in between has forgotten
// it, or its other end has given it up.
const longSleep = time.Minute

// slept reports whether there was a long sleep since it was last asked. A wall
// clock that is set forward looks the same.
func (s *sleeps) slept(wall time.Time) bool {
	before := s.ahead
	s.ahead = wall.Round(0).Sub(s.began) - time.Since(s.since)
	return s.ahead-before > longSleep
}

// wake leaves all carriers: to ask each whether it lives would take as long as
// an answer may, and the app is used now.
func (c *Client) wake() {
	for _, carrier := range c.table.AllCarriers() {
		carrier.Close()
	}
	c.pool.want()
}
