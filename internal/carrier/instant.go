package carrier

import (
	"math"
	"time"
)

// Instant is a time in a third of what time.Time takes, which is much of an idle client. The zero Instant is long ago.
type Instant time.Duration // since started

// started is what the clock in Received frames counts from, too.
var started = time.Now()

// InstantOf is t, which is of this process and no other.
func InstantOf(t time.Time) Instant { return Instant(t.Sub(started)) }

// Until is how much later t is.
func (i Instant) Until(t time.Time) time.Duration {
	if i == 0 {
		return math.MaxInt64
	}
	return t.Sub(started) - time.Duration(i)
}
