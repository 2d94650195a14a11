package seal

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"sync"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/wire"
)

// Server is the far end's side of handshakes. It is safe for concurrent use.
type Server struct {
	hidden
	generations []*generation
	now         func() time.Time
	seen        seen
	store       store
}

// Opened is a tunnel whose client has proved itself.
type Opened struct {
	Service wire.Service
	Early   []byte // the stream's first bytes; the caller's own
	Accept  []byte // payload of the Accept frame
	Keys    *Keys
}

// NewServer makes the origin's side for the links of m, and of the older
// secrets that have not been given up yet. As its memory against replays is empty,
// it accepts no message made before it was; the client whose clock is late
// hears ErrClock then. Several servers do not share the memory: the first
// message of a full handshake can be replayed to another one within ClockWindow,
// where it opens a tunnel that sends the early bytes again and that nobody holds
// the keys of. Of a resumed one only the server that kept its secret makes sense.
func NewServer(m Master, now func() time.Time, older ...Master) *Server {
	s := &Server{now: now, generations: []*generation{newGeneration(m)}}
	for _, m := range older {
		s.generations = append(s.generations, newGeneration(m))
	}
	s.seen.init(now().Unix(), maxSeen)
	s.store.init(now, maxStored)
	return s
}

// Accept answers the Open frame of tunnel id; user is whom the carrier's token
// named. It keeps and alters nothing of openPayload. Errors are ErrHandshake,
// ErrReplay, ErrClock and ErrStale. An Open frame that comes again for a tunnel
// that is open is not for Accept, which would call it a replay: send the same
// Accept frame again.
func (s *Server) Accept(id wire.TunnelID, user uint32, openPayload []byte) (Opened, error) {
	if len(openPayload) == 0 || len(openPayload) > openExtra+maxHello {
		return Opened{}, ErrHandshake
	}
	switch how := openPayload[0]; how {
	case openFull, openOnce:
		return s.handshake(id, user, openPayload[1:], how == openFull)
	case openResumed:
		return s.resume(id, user, openPayload)
	}
	return Opened{}, ErrHandshake
}

// handshake answers a Noise message, and keeps what both can resume from.
func (s *Server) handshake(id wire.TunnelID, user uint32, message []byte, keep bool) (Opened, error) {
	hs, h, err := s.read(id, user, message)
	if err != nil {
		return Opened{}, err
	}
	accept, toOrigin, toClient, err := hs.WriteMessage(make([]byte, 0, acceptSize), nil)
	if err != nil {
		return Opened{}, ErrHandshake
	}
	after := afterHandshake(hs, toOrigin, toClient)
	if keep {
		s.store.put(user, after.resumption())
	}
	d := after.directions(labelTunnel, nil)
	return Opened{h.service, h.early, accept, newKeys(&d.toClient, &d.toOrigin)}, nil
}

// resume answers a resumed Open. The checks are those of read.
func (s *Server) resume(id wire.TunnelID, user uint32, open []byte) (Opened, error) {
	if len(open) < resumedExtra {
		return Opened{}, ErrHandshake
	}
	r, err := s.store.get(user, name(open[1:]))
	if err != nil {
		return Opened{}, err
	}
	client := nonce(open[17:])
	plain, err := r.openOpen(open, id, &client)
	if err != nil {
		return Opened{}, err
	}
	h, err := s.admit(plain, user, client[:])
	if err != nil {
		return Opened{}, err
	}
	var origin nonce
	rand.Read(origin[:])
	accept, keys := r.accept(id, &client, &origin)
	return Opened{h.service, h.early, accept, keys}, nil
}

// read takes the first message by the secret that it was made for, and makes
// sure that it is user's, of this time, and new. Only a message that is genuine
// is remembered, or told of its clock.
func (s *Server) read(id wire.TunnelID, user uint32, message []byte) (*noise.HandshakeState, hello, error) {
	for _, g := range s.generations {
		hs, plain, err := g.read(id, user, message)
		if err != nil {
			continue
		}
		h, err := s.admit(plain, user, hs.PeerEphemeral())
		return hs, h, err
	}
	return nil, hello{}, ErrHandshake
}

// admit reads the hello of a genuine message, which unique tells from all others.
func (s *Server) admit(plain []byte, user uint32, unique []byte) (hello, error) {
	h, err := parseHello(plain)
	if err != nil || h.user != user {
		return hello{}, ErrHandshake
	}
	return h, s.seen.admit(unique, h.time, s.now().Unix())
}

// generation is the origin's keys that follow from one master secret.
type generation struct {
	master  Master
	private PrivateKey
	public  PublicKey
	users   users
}

func newGeneration(m Master) *generation {
	private := m.originPrivate()
	return &generation{master: m, private: private, public: private.public()}
}

// read opens the first message of a handshake if it was made by user for this
// generation's key. The error is ErrHandshake.
func (g *generation) read(id wire.TunnelID, user uint32, message []byte) (*noise.HandshakeState, []byte, error) {
	static, err := g.suite(user)
	if err != nil {
		return nil, nil, ErrHandshake
	}
	hs, err := noise.NewHandshakeState(config(static, id))
	if err != nil {
		return nil, nil, ErrHandshake
	}
	plain, _, _, err := hs.ReadMessage(nil, message)
	if err != nil || subtle.ConstantTimeCompare(hs.PeerStatic(), static.peer[:]) != 1 {
		return nil, nil, ErrHandshake
	}
	return hs, plain, nil
}

// suite is for the origin's static key with user's, which follows from the master.
func (g *generation) suite(user uint32) (*suite, error) {
	if known := g.users.get(user); known != nil {
		return known, nil
	}
	made, err := newSuite(g.private, g.public, g.master.clientPrivate(user).public())
	if err != nil {
		return nil, err
	}
	g.users.put(user, made)
	return made, nil
}

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

// maxSeen bounds the first messages that are remembered: about 5 MB. It covers
// the whole window at 1,000 tunnels a second. At 5,000 the memory reaches back
// 52 seconds, and clients whose clocks are later than that correct them.
const maxSeen = 1 << 18

const (
	windowSeconds = int64(ClockWindow / time.Second)
	slotSeconds   = 8
	slotCount     = 2*windowSeconds/slotSeconds + 2 // the window may begin and end inside a slot
)

// seen remembers the first messages of the window by the time that they bear,
// in slots, so that what is forgotten is always the oldest and the rest of the
// window stays open. What it has forgotten it also refuses by time: no message
// is accepted twice, however full it is. One 64-bit word of the ephemeral key,
// or of a resumed one's nonce, stands for the message; that two honest ones
// share it is as likely as guessing 46 bits, and would cost one connection.
type seen struct {
	mu     sync.Mutex
	limit  int
	count  int
	oldest int64 // Unix seconds; a message with an earlier time is refused
	slots  [slotCount]map[uint64]struct{}
}

func (s *seen) init(start int64, limit int) { s.oldest, s.limit = max(start, 0), limit }

// admit remembers a genuine message with this ephemeral key or nonce, made at
// the time at. It fails with ErrClock or ErrReplay.
func (s *seen) admit(unique []byte, at, now int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follow(now)
	if at < s.oldest || at > now+windowSeconds {
		return ErrClock
	}
	slot := &s.slots[at/slotSeconds%slotCount]
	id := binary.BigEndian.Uint64(unique)
	if _, again := (*slot)[id]; again {
		return ErrReplay
	}
	for s.count >= s.limit {
		if s.oldest >= now-slotSeconds { // full of the future: refuse this one, not all the others
			return ErrClock
		}
		s.forget((s.oldest/slotSeconds + 1) * slotSeconds)
	}
	if at < s.oldest {
		return ErrClock
	}
	if *slot == nil {
		*slot = make(map[uint64]struct{})
	}
	(*slot)[id] = struct{}{}
	s.count++
	return nil
}

// follow moves the window to now. If the origin's own clock was set back so far
// that nobody could be admitted, it begins as after a start.
func (s *seen) follow(now int64) {
	s.forget(now - windowSeconds)
	if s.oldest > now+2*windowSeconds {
		s.slots, s.count, s.oldest = [slotCount]map[uint64]struct{}{}, 0, max(now, 0)
	}
}

// forget drops the messages with times before oldest and refuses them from now on.
func (s *seen) forget(oldest int64) {
	if oldest <= s.oldest {
		return
	}
	first, end := s.oldest/slotSeconds, oldest/slotSeconds
	for i := first; i < min(end, first+slotCount); i++ {
		s.count -= len(s.slots[i%slotCount])
		s.slots[i%slotCount] = nil
	}
	s.oldest = oldest
}
