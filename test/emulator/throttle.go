package emulator

import (
	"sync"
	"time"
)

// bucket is a token bucket: burst at once, rate a second in the long run.
type bucket struct {
	rate, burst float64

	mu    sync.Mutex // guards the following
	level float64
	at    time.Time
}

func newBucket(rate, burst int) *bucket {
	return &bucket{rate: float64(rate), burst: float64(burst), level: float64(burst), at: time.Now()}
}

// take tells whether one more may pass now.
func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.level = min(b.burst, b.level+now.Sub(b.at).Seconds()*b.rate)
	b.at = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
