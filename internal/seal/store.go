package seal

import (
	"container/list"
	"sync"
	"time"
)

// What the origin keeps of resumptions. A client that comes for one that is
// gone makes a full handshake, a round trip later.
const (
	storeLife  = secretLife + time.Minute // a client's Open may be on its way for so long
	maxStored  = 16 << 10                 // about 5 MB
	maxPerUser = 16                       // clients that share a link; and no user pushes out all others
)

// store is the origin's resumptions, by user and name. Names are public: they
// need no comparison in constant time.
type store struct {
	hidden
	now   func() time.Time
	limit int

	mu     sync.Mutex
	named  map[storeKey]*list.Element
	users  map[uint32][]name // oldest first
	order  list.List         // of *stored, oldest first
	expiry *time.Timer       // nil while order is empty
}

type storeKey struct {
	user uint32
	name name
}

type stored struct {
	hidden
	user uint32
	at   time.Time
	resumption
}

func (s *store) init(now func() time.Time, limit int) {
	s.now, s.limit = now, limit
	s.named, s.users = make(map[storeKey]*list.Element), make(map[uint32][]name)
}

// put keeps r for storeLife, or until the user or all of them have too many.
func (s *store) put(user uint32, r resumption) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.users[user]; len(own) >= maxPerUser {
		s.drop(s.named[storeKey{user, own[0]}])
	}
	if s.order.Len() >= s.limit {
		s.drop(s.order.Front())
	}
	s.named[storeKey{user, r.name}] = s.order.PushBack(&stored{user: user, at: s.now(), resumption: r})
	s.users[user] = append(s.users[user], r.name)
	if s.expiry == nil {
		s.expiry = time.AfterFunc(storeLife, s.expire)
	}
}

// get fails with ErrStale.
func (s *store) get(user uint32, n name) (resumption, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.named[storeKey{user, n}]
	if e == nil || s.now().Sub(e.Value.(*stored).at) >= storeLife {
		return resumption{}, ErrStale
	}
	return e.Value.(*stored).resumption, nil
}

// expire drops what is too old, and comes again for the rest.
func (s *store) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.order.Front(); e != nil; e = s.order.Front() {
		if left := storeLife - s.now().Sub(e.Value.(*stored).at); left > 0 {
			s.expiry.Reset(max(left, time.Second))
			return
		}
		s.drop(e)
	}
	s.expiry = nil
}

func (s *store) drop(e *list.Element) {
	k := s.order.Remove(e).(*stored)
	key := storeKey{k.user, k.name}
	delete(s.named, key)
	own := s.users[k.user]
	for i, n := range own {
		if n == k.name {
			own = append(own[:i], own[i+1:]...)
			break
		}
	}
	if s.users[k.user] = own; len(own) == 0 {
		delete(s.users, k.user)
	}
	clear(k.secret[:])
}
