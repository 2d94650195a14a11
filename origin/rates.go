package origin

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast one user may open tunnels: a phone opens a few a minute, and a
// household's client that comes back many at once. Handshakes of the last
// minutes are remembered, 262,144 of all users: one alone must not fill that.
const (
	openRate  = 200    // a second, for long
	openBurst = 50_000 // at once
	maxRates  = 1_000  // users that are remembered before those at rest are forgotten
)

// rates bounds each user's.
type rates struct {
	mu sync.Mutex
	by map[uint32]*rate.Limiter
}

func (r *rates) allow(user uint32, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.by[user]
	if l == nil {
		l = r.add(user, now)
	}
	return l.AllowN(now, 1)
}

func (r *rates) add(user uint32, now time.Time) *rate.Limiter {
	if r.by == nil {
		r.by = map[uint32]*rate.Limiter{}
	}
	if len(r.by) >= maxRates {
		r.forget(now)
	}
	l := rate.NewLimiter(openRate, openBurst)
	r.by[user] = l
	return l
}

// forget drops the limiters that are as good as new.
func (r *rates) forget(now time.Time) {
	for user, l := range r.by {
		if l.TokensAt(now) >= openBurst {
			delete(r.by, user)
		}
	}
}
