package share

import (
	"maps"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates bounds how often each of many does something. It may be used by many goroutines.
type Rates[K comparable] struct {
	rate  rate.Limit // a second, for long
	burst int        // at once

	mu    sync.Mutex // guards the following
	by    map[K]*rate.Limiter
	swept time.Time
}

const (
	// maxRates is how many are remembered before those at rest are forgotten, which is tried once a second.
	maxRates = 1_000
	// mostRates is how many are remembered at all: of more, any one is forgotten.
	mostRates = 16 * maxRates
)

// NewRates allows so many a second for long, and burst at once.
func NewRates[K comparable](a float64, burst int) *Rates[K] {
	return &Rates[K]{rate: rate.Limit(a), burst: burst, by: map[K]*rate.Limiter{}}
}

// Allow reports whether who may do it once more now.
func (r *Rates[K]) Allow(who K, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.by[who]
	if l == nil {
		r.forget(now)
		l = rate.NewLimiter(r.rate, r.burst)
		r.by[who] = l
	}
	return l.AllowN(now, 1)
}

// forget makes room for another. r.mu is held.
func (r *Rates[K]) forget(now time.Time) {
	if len(r.by) >= maxRates && now.Sub(r.swept) >= time.Second {
		r.swept = now
		maps.DeleteFunc(r.by, func(_ K, l *rate.Limiter) bool { return l.TokensAt(now) >= float64(r.burst) })
	}
	for who := range r.by {
		if len(r.by) < mostRates {
			return
		}
		delete(r.by, who)
	}
}
