package seal

import (
	"crypto/rand"
	"crypto/subtle"
	"sync/atomic"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// Server is the far end's side of handshakes. It is safe for concurrent use.
type Server struct {
	hidden
	master  Master
	private PrivateKey
	public  PublicKey
	now     func() time.Time
	revoked atomic.Pointer[func(uint32) bool]
	users   users
	seen    seen
	store   store
}

// Opened is a tunnel whose client has proved itself.
type Opened struct {
	Service wire.Service
	Early   []byte // the stream's first bytes; the caller's own
	Accept  []byte // payload of the Accept frame
	Keys    *Keys
}

// NewServer makes the origin's side. As its memory against replays is empty,
// it accepts no message made before it was; the client whose clock is late
// hears ErrClock then. Several servers do not share the memory: the first
// message of a full handshake can be replayed to another one within ClockWindow,
// where it opens a tunnel that sends the early bytes again and that nobody holds
// the keys of. Of a resumed one only the server that kept its secret makes sense.
func NewServer(m Master, now func() time.Time) *Server {
	private := m.originPrivate()
	s := &Server{master: m, private: private, public: private.public(), now: now}
	s.seen.init(now().Unix(), maxSeen)
	s.store.init(now, maxStored)
	return s
}

// SetRevoked says whom to refuse from now on. Tunnels that are open stay so.
// The function is called once a handshake and must be safe for concurrent use.
func (s *Server) SetRevoked(revoked func(user uint32) bool) { s.revoked.Store(&revoked) }

// Accept answers the Open frame of tunnel id; user is whom the carrier's token
// named. It keeps and alters nothing of openPayload. Errors are ErrHandshake,
// ErrReplay, ErrClock and ErrStale. An Open frame that comes again for a tunnel
// that is open is not for Accept, which would call it a replay: send the same
// Accept frame again.
func (s *Server) Accept(id wire.TunnelID, user uint32, openPayload []byte) (Opened, error) {
	if len(openPayload) == 0 || len(openPayload) > openExtra+maxHello || s.isRevoked(user) {
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
	static, err := s.suite(user)
	if err != nil {
		return Opened{}, ErrHandshake
	}
	hs, err := noise.NewHandshakeState(config(static, id))
	if err != nil {
		return Opened{}, ErrHandshake
	}
	h, err := s.read(hs, user, &static.peer, message)
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

// read takes the first message and makes sure that it is user's, of this time,
// and new. Only a message that is genuine is remembered, or told of its clock.
func (s *Server) read(hs *noise.HandshakeState, user uint32, static *PublicKey, message []byte) (hello, error) {
	plain, _, _, err := hs.ReadMessage(nil, message)
	if err != nil || subtle.ConstantTimeCompare(hs.PeerStatic(), static[:]) != 1 {
		return hello{}, ErrHandshake
	}
	return s.admit(plain, user, hs.PeerEphemeral())
}

// admit reads the hello of a genuine message, which unique tells from all others.
func (s *Server) admit(plain []byte, user uint32, unique []byte) (hello, error) {
	h, err := parseHello(plain)
	if err != nil || h.user != user {
		return hello{}, ErrHandshake
	}
	return h, s.seen.admit(unique, h.time, s.now().Unix())
}

func (s *Server) isRevoked(user uint32) bool {
	revoked := s.revoked.Load()
	return revoked != nil && (*revoked)(user)
}

// suite is for the origin's static key with user's, which follows from the master.
func (s *Server) suite(user uint32) (*suite, error) {
	if known := s.users.get(user); known != nil {
		return known, nil
	}
	static, err := between(s.private, s.public, s.master.clientPrivate(user).public())
	if err != nil {
		return nil, err
	}
	made := &suite{pair: static}
	s.users.put(user, made)
	return made, nil
}
