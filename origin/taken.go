package origin

import (
	"hash/maphash"
	"sync"
	"time"

	"culvert/internal/wire"
)

// maxTaken is how many tokens of one user are remembered, the newest.
const maxTaken = 4096

// takenTokens remembers tokens that were taken, each until it expires. Only tokens
// that were proved come here, so that nobody fills another's share. It may be used by
// many goroutines.
//
// At the gateway door a token is taken for a connection: its hello may come by several
// functions and by another origin, and is one hello until the connection is made.
type takenTokens struct {
	seed  maphash.Seed // of places
	mu    sync.Mutex   // guards the following
	users map[uint32]*tokenRing
}

// tokenRing is one user's, from the oldest on.
type tokenRing struct {
	all  []takenToken // at most maxTaken
	next int          // where the next goes once all is full
}

type takenToken struct {
	nonce uint64 // the first 8 bytes of it
	until uint32 // Unix seconds, as in the token itself
	place uint32 // of the connection that may bring it again; 0: none
}

func newTakenTokens() *takenTokens {
	return &takenTokens{seed: maphash.MakeSeed(), users: map[uint32]*tokenRing{}}
}

// take takes t and reports whether it may be used: it was not taken before, or for
// that connection and not spent since. At the stream door conn is empty, and a token
// comes once.
func (k *takenTokens) take(t *wire.Token, conn string, now time.Time) bool {
	one := takenToken{nonce: t.Nonce(), until: seconds(t.Expires())}
	if conn != "" {
		one.place = uint32(maphash.String(k.seed, conn)) | 1
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.users[t.User()]
	if r == nil {
		r = &tokenRing{}
		k.users[t.User()] = r
	}
	if old := r.find(one.nonce); old != nil {
		return old.place != 0 && old.place == one.place
	}
	r.add(one, seconds(now))
	return true
}

// pretend looks for t as take does, for a token that is refused before.
func (k *takenTokens) pretend(t *wire.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.users[t.User()]; r != nil {
		r.find(t.Nonce())
	}
}

// spend notes that a carrier was made by t. No connection may bring it again.
func (k *takenTokens) spend(t *wire.Token) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.users[t.User()]; r != nil {
		if old := r.find(t.Nonce()); old != nil {
			old.place = 0
		}
	}
}

func (r *tokenRing) find(nonce uint64) *takenToken {
	for i := range r.all {
		if r.all[i].nonce == nonce {
			return &r.all[i]
		}
	}
	return nil
}

func (r *tokenRing) add(t takenToken, now uint32) {
	if n := len(r.all); n == cap(r.all) && (n < maxTaken || r.all[r.next].until < now) {
		r.expire(now)
	}
	if len(r.all) < maxTaken {
		r.all = append(r.all, t)
		return
	}
	r.all[r.next] = t
	r.next = (r.next + 1) % maxTaken
}

// expire drops what no verifier admits any more, and makes room for as many as stay.
func (r *tokenRing) expire(now uint32) {
	kept := make([]takenToken, 0, len(r.all))
	for i := range r.all { // from the oldest on
		if t := r.all[(r.next+i)%len(r.all)]; t.until >= now {
			kept = append(kept, t)
		}
	}
	r.all, r.next = append(make([]takenToken, 0, min(maxTaken, 2*len(kept)+1)), kept...), 0
}

// sweep forgets users of whom nothing is left.
func (k *takenTokens) sweep(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for user, r := range k.users {
		if r.expire(seconds(now)); len(r.all) == 0 {
			delete(k.users, user)
		}
	}
}

// seconds are Unix seconds, to the year 2106.
func seconds(t time.Time) uint32 { return uint32(max(0, min(t.Unix(), 1<<32-1))) }
