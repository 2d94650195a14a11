package tunnel

import (
	"math"
	"time"
)

// instant is a time in a third of what time.Time takes, which is much of an idle client. The zero instant is long ago.
type instant time.Duration // since started

var started = time.Now()

func instantOf(t time.Time) instant { return instant(t.Sub(started)) }

// until is how much later t is.
func (i instant) until(t time.Time) time.Duration {
	if i == 0 {
		return math.MaxInt64
	}
	return t.Sub(started) - time.Duration(i)
}
