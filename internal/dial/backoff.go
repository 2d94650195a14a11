package dial

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause before something that failed is tried again: it doubles
// with each failure, and up to half of it is left out by chance, so that not all who failed at once
// come back at once. One goroutine uses a Backoff, and may change its fields
// between two pauses.
type Backoff struct {
	First  time.Duration // what a pause of none grows to
	Limit  time.Duration // the longest pause
	Next   time.Duration // the next pause; none is a good beginning where a failure is rare
	Chance time.Duration // a pause of none takes up to so long, by chance
}

// Pause is how long to wait this time: at least half of Next and less than all of
// it. Next is doubled.
func (b *Backoff) Pause() time.Duration {
	d := min(b.Next, b.Limit)
	b.Next = min(max(2*d, b.First), b.Limit)
	switch chance := min(b.Chance, b.Limit); {
	case d <= 0 && chance > 0:
		return rand.N(chance)
	case d < 2:
		return d
	}
	return d/2 + rand.N(d/2)
}

// Sleep waits for d. It returns false if ctx ended before.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
