package tunnel

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/internal/transport"
)

var errCut = errors.New("cut")

// fate is what happens to the messages of one direction of a memSocket.
type fate struct {
	delay   time.Duration
	shuffle bool // any message that is under way may come next
	twice   bool // some messages come twice
	lost    int  // one of so many messages does not come; 0: all do
	dieAt   int  // the socket is cut when this many messages were sent; 0: never
	heard   int  // and this many of them were read: without any that is, nothing would ever get on
	hurtful bool // a cut takes along some of what is under way
	silent  bool // messages vanish
	stuck   bool // writing waits until the socket is closed
	passes  int  // bytes that come; all further ones vanish; 0: all do
	room    int  // messages that may be under way; more wait to be written; 0: any number
}

type message struct {
	b  []byte
	at time.Time
}

// memTransport is what transports in memory have in common: those of the stream
// door.
type memTransport struct{}

func (memTransport) Start(transport.Owner)       {}
func (memTransport) Park(func()) bool            { return false }
func (memTransport) Probe() error                { return nil }
func (memTransport) Lag() time.Duration          { return 0 }
func (memTransport) Ahead() bool                 { return false }
func (memTransport) Unread() bool                { return false }
func (memTransport) Profile() *transport.Profile { return transport.StreamProfile() }

// gatewayDoor is a transport of the gateway door over one of the stream door.
type gatewayDoor struct{ transport.Transport }

func (gatewayDoor) Profile() *transport.Profile { return transport.GatewayProfile() }

// memSocket is one end of a socket in memory.
type memSocket struct {
	memTransport
	mu     *sync.Mutex // of both ends
	wake   *sync.Cond
	peer   *memSocket
	rand   *rand.Rand
	fate   fate // of what this end writes
	in     []message
	cut    bool // nothing more is written, by either end
	closed bool // by this end
	sent   int  // messages
	bytes  int  // of them
	read   int  // messages of the peer's
	owner  transport.Owner
	log    func(b []byte) // told of each message that this end writes
}

func socketPair(seed uint64, near, far fate) (*memSocket, *memSocket) {
	mu := new(sync.Mutex)
	wake := sync.NewCond(mu)
	r := rand.New(rand.NewPCG(seed, 1))
	a := &memSocket{mu: mu, wake: wake, rand: r, fate: near}
	b := &memSocket{mu: mu, wake: wake, rand: r, fate: far, peer: a}
	a.peer = b
	return a, b
}

func (s *memSocket) Start(o transport.Owner) { s.owner = o }

func (s *memSocket) WriteMessage(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.cut && (s.fate.stuck || s.fate.room > 0 && len(s.peer.in) >= s.fate.room) {
		s.wake.Wait()
	}
	if s.cut {
		return errCut
	}
	s.sent++
	if s.log != nil {
		s.log(b)
	}
	if s.fate.dieAt > 0 && s.sent >= s.fate.dieAt && s.peer.read >= s.fate.heard {
		s.cutBoth(s.fate.hurtful)
		return errCut
	}
	if s.bytes += len(b); !s.fate.silent && (s.fate.passes == 0 || s.bytes <= s.fate.passes) && (s.fate.lost == 0 || s.rand.IntN(s.fate.lost) > 0) {
		s.push(b)
		if s.fate.twice && s.rand.IntN(3) == 0 {
			s.push(b)
		}
	}
	return nil
}

func (s *memSocket) push(b []byte) {
	s.peer.in = append(s.peer.in, message{bytes.Clone(b), time.Now().Add(s.fate.delay)})
	s.wake.Broadcast()
}

func (s *memSocket) cutBoth(hurtful bool) {
	s.cut, s.peer.cut = true, true
	if hurtful {
		s.in = s.in[:s.rand.IntN(len(s.in)+1)]
		s.peer.in = s.peer.in[:s.rand.IntN(len(s.peer.in)+1)]
	}
	s.wake.Broadcast()
}

// NextMessage gives what came before a cut that is not hurtful.
func (s *memSocket) NextMessage() (io.Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return nil, io.ErrClosedPipe
		case len(s.in) == 0 && s.cut:
			return nil, errCut
		case len(s.in) == 0:
			s.wake.Wait()
			continue
		}
		i := 0
		if s.peer.fate.shuffle {
			i = s.rand.IntN(len(s.in))
		}
		m := s.in[i]
		if early := time.Until(m.at); early > 0 {
			t := time.AfterFunc(early, s.broadcast)
			s.wake.Wait()
			t.Stop()
			continue
		}
		s.in = append(s.in[:i], s.in[i+1:]...)
		s.read++
		s.wake.Broadcast()
		return bytes.NewReader(m.b), nil
	}
}

func (s *memSocket) broadcast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wake.Broadcast()
}

func (s *memSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed, s.in = true, nil
	if s.fate.silent || s.fate.passes > 0 || s.peer.fate.silent || s.peer.fate.passes > 0 { // nobody hears of it
		s.cut = true
		s.wake.Broadcast()
		return nil
	}
	s.cutBoth(false)
	return nil
}

// messages is how many this end has written.
func (s *memSocket) messages() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// change alters the fate of what this end writes.
func (s *memSocket) change(f func(*fate)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.fate)
	s.wake.Broadcast()
}
