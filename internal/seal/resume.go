package seal

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"culvert/internal/wire"
)

// What the payload of an Open frame begins with.
const (
	openFull    = 1 // a Noise message follows, and both ends keep a resumption
	openResumed = 2 // a resumed Open, as below
	openOnce    = 3 // a Noise message follows, and neither end keeps anything
)

// A resumed Open is these bytes, then the hello and its tag, sealed by
// AES-256-GCM with a nonce of zeros, as no key of it is ever used twice, and
// with these bytes as additional data.
//
//	0  kind    1  openResumed
//	1  name   16  of the resumption
//	17 nonce  16  the client's, random
//
// The Accept that answers it is the origin's nonce, 16 bytes, and an empty
// record of the kind wire.Accept at ControlPos in the direction to the client,
// which is the proof that the origin holds the secret.
const (
	resumedHead   = 1 + 16 + 16
	resumedExtra  = resumedHead + wire.Overhead
	resumedAccept = 16 + wire.Overhead
)

// sealOpen makes a resumed Open of buf, which has resumedHead bytes before the
// hello and room for its tag behind.
func (r *resumption) sealOpen(buf []byte, id wire.TunnelID, client *nonce) []byte {
	buf[0] = openResumed
	copy(buf[1:], r.name[:])
	copy(buf[17:], client[:])
	key := r.openKey(id, client)
	c := newRecord(&key)
	return c.aead.Seal(buf[:resumedHead], c.nonce[:], buf[resumedHead:], buf[:resumedHead])
}

// openOpen returns the hello of a resumed Open, of which it alters nothing.
func (r *resumption) openOpen(open []byte, id wire.TunnelID, client *nonce) ([]byte, error) {
	key := r.openKey(id, client)
	c := newRecord(&key)
	plain, err := c.aead.Open(nil, c.nonce[:], open[resumedHead:], open[:resumedHead])
	if err != nil {
		return nil, ErrHandshake
	}
	return plain, nil
}

// accept answers a resumed Open.
func (r *resumption) accept(id wire.TunnelID, client, origin *nonce) ([]byte, *Keys) {
	d := r.directions(id, client, origin)
	keys := newKeys(&d.toClient, &d.toOrigin)
	payload := append(make([]byte, 0, resumedAccept), origin[:]...)
	proof := keys.Seal(payload[len(payload):], wire.Accept, ControlPos)
	return payload[:len(payload)+len(proof)], keys
}

// finish checks the answer.
func (r *resumption) finish(accept []byte, id wire.TunnelID, client *nonce) (*Keys, error) {
	if len(accept) != resumedAccept {
		return nil, ErrHandshake
	}
	origin := nonce(accept)
	d := r.directions(id, client, &origin)
	keys := newKeys(&d.toOrigin, &d.toClient)
	if _, err := keys.Open(accept[len(origin):], wire.Accept, ControlPos); err != nil {
		return nil, ErrHandshake
	}
	return keys, nil
}

// How long a client resumes from one secret. It renews it at half of either.
const (
	secretLife    = 5 * time.Minute
	secretTunnels = 4096
)

// askAgain is how long a client waits for the Accept of the handshake whose
// secret it means to keep, before it means to keep another's.
const askAgain = 10 * time.Second

// memory is a client's one resumption. Its time is the wall clock's, which goes
// on while a phone sleeps.
type memory struct {
	hidden
	mu     sync.Mutex
	kept   resumption
	left   int       // tunnels that kept is still good for; 0: there is none
	made   time.Time // when the Open was made that it comes from
	asked  time.Time // when the handshake began that is to bring the next; 0: none is under way
	expiry *time.Timer
}

// next says how the next tunnel is opened: openResumed with the resumption, or
// openFull or openOnce.
func (m *memory) next(now time.Time) (how byte, r resumption) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now = now.Round(0)
	age := now.Sub(m.made)
	if age < 0 || age >= secretLife {
		m.drop()
	}
	if (m.left <= secretTunnels/2 || age >= secretLife/2) && m.ask(now) {
		return openFull, r
	}
	if m.left == 0 {
		return openOnce, r
	}
	r = m.kept
	if m.left--; m.left == 0 {
		m.drop()
	}
	return openResumed, r
}

// anew is next for a tunnel that is not to be resumed.
func (m *memory) anew(now time.Time) (how byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ask(now.Round(0)) {
		return openFull
	}
	return openOnce
}

// ask has one handshake at a time bring a secret, so that the origin keeps
// few that nobody uses.
func (m *memory) ask(now time.Time) bool {
	if waited := now.Sub(m.asked); waited >= 0 && waited < askAgain {
		return false
	}
	m.asked = now
	return true
}

// put keeps what a handshake left that began at the time at.
func (m *memory) put(r resumption, at, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at = at.Round(0)
	m.drop()
	m.kept, m.left, m.made, m.asked = r, secretTunnels, at, time.Time{}
	m.expiry = time.AfterFunc(max(0, secretLife-now.Round(0).Sub(at)), func() { m.forget(r.name) })
}

// unask gives up the handshake that was to bring the next secret.
func (m *memory) unask() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = time.Time{}
}

// forget drops the resumption of this name, if it is still the one.
func (m *memory) forget(n name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept.name == n {
		m.drop()
	}
}

func (m *memory) drop() {
	m.kept, m.left = resumption{}, 0
	if m.expiry != nil {
		m.expiry.Stop()
		m.expiry = nil
	}
}

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
	delete(s.named, storeKey{k.user, k.name})
	own := slices.DeleteFunc(s.users[k.user], func(n name) bool { return n == k.name })
	if s.users[k.user] = own; len(own) == 0 {
		delete(s.users, k.user)
	}
	clear(k.secret[:])
}
