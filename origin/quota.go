package origin

import "sync"

// userCounts counts something of each user's, so that one user cannot take all.
type userCounts struct {
	mu sync.Mutex
	of map[uint32]int
}

func newUserCounts() *userCounts { return &userCounts{of: map[uint32]int{}} }

// add counts one more; at limit it counts nothing and returns false.
func (u *userCounts) add(user uint32, limit int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.of[user] >= limit {
		return false
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

// The following bound how fast one user may open tunnels and agree anew: a phone opens a
// few tunnels a minute and agrees every five, and a household's client that comes back
// does much at once. To agree costs an origin some 0.3 ms.
const (
	openRate   = 200    // tunnels a second, for long
	openBurst  = 50_000 // at once
	agreeRate  = 20
	agreeBurst = 1_000
)
