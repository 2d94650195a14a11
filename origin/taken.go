package origin

import (
	"sync"
	"time"

	"culvert/internal/wire"
)

// MaxTaken is how many tokens of one user are remembered, the newest.
const MaxTaken = 4096

// Taken remembers tokens that were taken, each until it expires. Only tokens that were
// proved come here, so that nobody fills another's share. It may be used by many
// goroutines.
type Taken struct {
	mu    sync.Mutex // guards the following
	users map[uint32]*ring
}

// ring is one user's, from the oldest on.
type ring struct {
	all  []taken // at most MaxTaken
	next int     // where the next goes once all is full
}

type taken struct {
	nonce uint64 // the first 8 bytes of it
	until int64  // Unix seconds
}

// NewTaken remembers none.
func NewTaken() *Taken { return &Taken{users: map[uint32]*ring{}} }

// Take reports whether t has not been taken before, and takes it.
func (k *Taken) Take(t *wire.Token, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.users[t.User()]
	if r == nil {
		r = &ring{}
		k.users[t.User()] = r
	}
	return r.take(taken{t.Nonce(), t.Expires().Unix()}, now.Unix())
}

func (r *ring) take(t taken, now int64) bool {
	for _, old := range r.all {
		if old.nonce == t.nonce {
			return false
		}
	}
	if len(r.all) == cap(r.all) {
		r.expire(now)
	}
	if len(r.all) < MaxTaken {
		r.all = append(r.all, t)
		return true
	}
	r.all[r.next] = t
	r.next = (r.next + 1) % MaxTaken
	return true
}

// expire drops what no verifier admits any more.
func (r *ring) expire(now int64) {
	kept := make([]taken, 0, len(r.all))
	for i := range r.all { // from the oldest on
		if t := r.all[(r.next+i)%len(r.all)]; t.until >= now {
			kept = append(kept, t)
		}
	}
	r.all, r.next = append(make([]taken, 0, min(MaxTaken, 2*len(kept)+4)), kept...), 0
}

// Sweep forgets users of whom nothing is left. Call it every minute or so.
func (k *Taken) Sweep(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for user, r := range k.users {
		if r.expire(now.Unix()); len(r.all) == 0 {
			delete(k.users, user)
		}
	}
}
