package client

import (
	"sync/atomic"
	"time"
)

// MaxOffset is how far a front's Date may move the time in tokens for that front.
const MaxOffset = 24 * time.Hour

// dateError is what a Date may be off by without meaning anything: seconds are cut
// off, and the answer was under way.
const dateError = 30 * time.Second

// Clock is the time in tokens for one front, and in nothing else. The zero Clock is
// the machine's. It may be used by many goroutines.
type Clock struct{ offset atomic.Int64 }

// Now is the time for a token.
func (c *Clock) Now(machine time.Time) time.Time {
	return machine.Add(time.Duration(c.offset.Load()))
}

// Learn takes the Date of an answer that did not let a token in, and reports whether
// another try makes sense: by a time that differs, and that the front may set. built
// is when the program was built: a machine whose clock is before that has none.
func (c *Clock) Learn(date, machine, built time.Time) bool {
	offset := date.Sub(machine)
	if offset.Abs() > MaxOffset && !machine.Before(built) || date.Before(built) {
		return false
	}
	if (offset - time.Duration(c.offset.Load())).Abs() <= dateError {
		return false
	}
	c.offset.Store(int64(offset))
	return true
}
