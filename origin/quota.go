package origin

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// admission decides whose carriers are let in, by either door, and makes them. Its
// methods may be called by many goroutines.
type admission struct {
	gates    wire.GateKeys
	revoked  func(user uint32) bool
	table    *tunnel.Table
	most     int         // carriers of all users
	mostEach int         // carriers of one user
	draining atomic.Bool // new carriers are told that their tunnels are wanted elsewhere
}

// verify says whose token this is, if that user's links are not void.
func (a *admission) verify(token string) (user uint32, ok bool) {
	user, err := a.gates.Verify(token, time.Now())
	return user, err == nil && !a.revoked(user)
}

// isFull reports whether there may be no more carriers, or none of user's.
func (a *admission) isFull(user uint32) bool {
	return a.table.Carriers.Len() >= a.most || a.table.Carriers.Of(user) >= a.mostEach
}

// newCarrier makes user's carrier over sock and sends what a client should know
// first. The caller starts it.
func (a *admission) newCarrier(sock transport.Transport, user uint32) *carrier.Carrier {
	c := a.table.NewCarrier(sock, user)
	if a.draining.Load() {
		c.Drain()
	}
	c.Ping() // its answer tells the round trip, which windows need
	return c
}

// endRevoked ends the carriers of users who were revoked after they had come, now and
// then until ctx ends. Their tunnels end later, when no carrier has come for them.
func (a *admission) endRevoked(ctx context.Context) {
	for dial.Sleep(ctx, revokedEvery) {
		for _, c := range a.table.Carriers.All() {
			if a.revoked(c.User) {
				c.Close()
			}
		}
	}
}

const revokedEvery = 10 * time.Second

// userCounts counts something of each user's, so that one user cannot take all.
type userCounts struct {
	mu sync.Mutex
	of map[uint32]int
}

// add counts one more; at limit it counts nothing and returns false.
func (u *userCounts) add(user uint32, limit int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[user] >= limit {
		return false
	}
	if u.of == nil {
		u.of = map[uint32]int{}
	}
	u.of[user]++
	return true
}

func (u *userCounts) remove(user uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[user]--; u.of[user] <= 0 {
		delete(u.of, user)
	}
}

// The following bound how fast one user may open tunnels: a phone opens a few a
// minute, and a household's client that comes back opens many at once. The
// handshakes of the last minutes are remembered, 262,144 of all users: one user
// alone must not fill that.
const (
	openRate  = 200    // a second, for long
	openBurst = 50_000 // at once
	maxRates  = 1_000  // users that are remembered before those at rest are forgotten
)

// rates bounds how fast each user opens tunnels.
type rates struct {
	mu sync.Mutex
	by map[uint32]*rate.Limiter
}

func (r *rates) allow(user uint32, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.by[user]
	if l == nil {
		if r.by == nil {
			r.by = map[uint32]*rate.Limiter{}
		}
		if len(r.by) >= maxRates { // those that are as good as new are forgotten
			maps.DeleteFunc(r.by, func(_ uint32, l *rate.Limiter) bool { return l.TokensAt(now) >= openBurst })
		}
		l = rate.NewLimiter(openRate, openBurst)
		r.by[user] = l
	}
	return l.AllowN(now, 1)
}
