package seal

import (
	"crypto/rand"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
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
