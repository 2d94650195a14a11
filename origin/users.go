package origin

import "sync"

// users counts each user's tunnels, so that one cannot take all.
type users struct {
	mu      sync.Mutex
	tunnels map[uint32]int
}

// opened counts a tunnel; false, and nothing counted, at limit.
func (u *users) opened(user uint32, limit int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tunnels[user] >= limit {
		return false
	}
	if u.tunnels == nil {
		u.tunnels = map[uint32]int{}
	}
	u.tunnels[user]++
	return true
}

func (u *users) closed(user uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.tunnels[user]--; u.tunnels[user] <= 0 {
		delete(u.tunnels, user)
	}
}
