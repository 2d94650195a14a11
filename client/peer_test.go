package client

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// keysMaster is the secret of all peers of these tests; its user 1 is their client.
var keysMaster = seal.NewMaster()

// linkTo is a link of user 1 with these fronts.
func linkTo(fronts ...link.Front) *link.Link {
	return &link.Link{Keys: keysMaster.Client(1), Fronts: fronts}
}

// peer is an origin at the other end of memory sockets. It greets in all
// tunnels, and says nothing more.
type peer struct {
	ticket   string // that its carriers bring
	pair     *seal.Pair
	sessions *session.Origin
	table    *tunnel.Table
}

// newPeer makes an origin that other ends tell by its owner.
func newPeer(t *testing.T, owner byte) *peer {
	p := &peer{ticket: string(bytes.Repeat([]byte{'a' + owner}, wire.TicketLen)), pair: keysMaster.Pair(1)}
	p.sessions = session.NewOrigin(session.Config{Address: string(rune(owner)), Allow: func(uint32, time.Time) bool { return true }})
	p.table = tunnel.NewTable(tunnel.Events{
		Open: func(c *carrier.Carrier, s *tunnel.Session, id uint32, svc wire.Service, early []byte) {
			if t, ok := s.Accept(c, id, svc, early); ok {
				near, far := net.Pipe()
				t.Join(far)
				go near.Write([]byte("hi"))
			}
		},
	}, tunnel.NewWindows(1<<20), false)
	t.Cleanup(p.table.Close)
	return p
}

// socket is one that leads to the peer.
func (p *peer) socket(gateway bool) *socket {
	near, far := memoryPair(gateway)
	door := session.Stream
	if gateway {
		door = session.Gateway
	}
	keys := keysMaster.Client(1)
	s := &socket{Transport: near, token: wire.NewToken(1, keys.Token, p.pair.ProofKey(), time.Now())}
	s.learn(p.ticket)
	p.table.NewCarrier(far, p.sessions.Carrier(door, s.token, 1, p.pair, time.Now()), 1).Start()
	return s
}

// memorySocket is one end of a pair that brings messages in order.
type memorySocket struct {
	profile *transport.Profile
	in, out chan []byte
	pair    *memoryEnd
}

// memoryEnd is told when either end closes the pair.
type memoryEnd struct {
	sync.Once
	closed chan struct{}
}

func memoryPair(gateway bool) (near, far *memorySocket) {
	profile := transport.StreamProfile()
	if gateway {
		profile = transport.GatewayProfile()
	}
	up, down, pair := make(chan []byte, 16), make(chan []byte, 16), &memoryEnd{closed: make(chan struct{})}
	return &memorySocket{profile, down, up, pair}, &memorySocket{profile, up, down, pair}
}

func (s *memorySocket) Start(transport.Owner)       {}
func (s *memorySocket) Park(func()) bool            { return false }
func (s *memorySocket) Probe() error                { return nil }
func (s *memorySocket) Lag() time.Duration          { return 0 }
func (s *memorySocket) Ahead() bool                 { return false }
func (s *memorySocket) Unread() bool                { return false }
func (s *memorySocket) Profile() *transport.Profile { return s.profile }

func (s *memorySocket) NextMessage() (io.Reader, error) {
	select {
	case b := <-s.in:
		return bytes.NewReader(b), nil
	case <-s.pair.closed:
		return nil, net.ErrClosed
	}
}

func (s *memorySocket) WriteMessage(b []byte) error {
	select {
	case s.out <- bytes.Clone(b):
		return nil
	case <-s.pair.closed:
		return net.ErrClosed
	}
}

func (s *memorySocket) Close() error {
	s.pair.Do(func() { close(s.pair.closed) })
	return nil
}
