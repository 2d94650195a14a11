package seal

import "sync"

// maxUsers bounds the users whose keys the origin has at hand: 128 bytes each,
// 3 MB with the maps around them. One that is not at hand costs 40 µs.
const maxUsers = 16 << 10

// users keeps the keys of those who came last, in two generations: when the
// young one is full it becomes the old one, and the old one's users who did
// not come again are forgotten.
type users struct {
	mu         sync.Mutex
	young, old map[uint32]*suite
}

// get returns nil for a user who is not at hand.
func (u *users) get(user uint32) *suite {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.young[user]
	if s == nil && u.old[user] != nil {
		s = u.old[user]
		u.add(user, s)
	}
	return s
}

func (u *users) put(user uint32, s *suite) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.add(user, s)
}

func (u *users) add(user uint32, s *suite) {
	if u.young == nil || len(u.young) >= maxUsers/2 {
		u.young, u.old = make(map[uint32]*suite), u.young
	}
	u.young[user] = s
}
