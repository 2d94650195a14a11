package session

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Client is one session, at the client. It may be used by many goroutines.
type Client struct {
	seal.Hidden
	pair   *seal.Pair
	cipher Cipher
	random io.Reader
	i      [16]byte
	newest atomic.Pointer[generation] // of those that were answered, the one that was asked for last

	mu      sync.Mutex // guards the following, and changes of newest
	root    [32]byte   // zero: nobody has agreed yet
	process [16]byte
	owner   [8]byte
	tries   uint64
	trying  *ClientCarrier // that agrees inside a record; nil: none does
	tried   time.Time      // since when
}

// NewClient makes a session that nobody has agreed on yet.
func NewClient(p *seal.Pair, c Cipher) *Client { return newClient(p, c, rand.Reader) }

func newClient(p *seal.Pair, c Cipher, random io.Reader) *Client {
	s := &Client{pair: p, cipher: c, random: random}
	s.fill(s.i[:])
	return s
}

func (s *Client) fill(b []byte) { seal.Must(io.ReadFull(s.random, b)) }

// Expire erases what is old. Call it every minute or so.
func (s *Client) Expire(now time.Time) {
	if g := s.newest.Load(); g != nil && now.Sub(g.born) >= GenerationKept {
		g.erase()
	}
}

// try is an Agree that has not been answered.
type try struct {
	hello
	hs      *noise.HandshakeState
	asked   uint64   // how many were made before
	root    [32]byte // zero: the session is to begin
	inside  bool
	made    time.Time // by the wall clock, which goes on while a phone sleeps
	message []byte    // the body of the Agree
}

// offer makes an Agree for c, which stands there. Inside a record, one carrier tries at a time,
// until it is answered or over, or has taken long: whoever holds an answer back harms that
// carrier alone. nil: another tries.
func (s *Client) offer(c *ClientCarrier, at place, now time.Time) *try {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.inside {
		if s.trying != nil && now.Sub(s.tried) < tryAgain {
			return nil
		}
		s.trying, s.tried = c, now
	}
	h := hello{i: s.i, how: byte(s.cipher) | bit(s.root != [32]byte{})<<1, j: byte(s.tries)}
	s.fill(h.e[:])
	asked := s.tries
	s.tries++
	hs := s.pair.Handshake(true, at.prologue(), s.random)
	sealed, _, _, err := hs.WriteMessage(nil, h.bytes())
	seal.Must(sealed, err)
	return &try{h, hs, asked, s.root, at.inside, now.Round(0), append(at.mac(s.pair, sealed), sealed...)}
}

// answered makes the generation of a try. Where the origin does not know the session, it
// begins with that: the first time, or anew.
func (s *Client) answered(t *try, body []byte) (*generation, Event, error) {
	plain, first, second, err := t.hs.ReadMessage(nil, body)
	if err != nil {
		return nil, 0, ErrProof
	}
	if len(plain) != answerLen || plain[24] > 1 {
		return nil, 0, ErrMessage
	}
	process, owner, known := [16]byte(plain), [8]byte(plain[16:]), plain[24] == 1
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.root != [32]byte{}
	switch {
	case t.root != s.root: // the session has begun anew meanwhile
		return nil, 0, ErrOrder
	case known && !t.goesOn() || !known && t.inside:
		return nil, 0, ErrProof
	case begun && owner != s.owner || known && process != s.process:
		return nil, 0, ErrElsewhere
	case known:
		return t.generation(first, second, s.root), 0, nil
	}
	g := t.generation(first, second, [32]byte{})
	s.newest.Swap(nil).erase()
	s.root, err = g.derive("culvert 2 root")
	s.process, s.owner, s.trying = process, owner, nil
	return g, Event(bit(begun)) * Restarted, err
}

func (t *try) generation(first, second *noise.CipherState, root [32]byte) *generation {
	g := newGeneration(t.hs, first, second, root, &t.hello, t.made)
	g.asked = t.asked
	return g
}

// keep makes g the newest and erases the one before, unless that was asked for later: an
// answer that was held back changes nothing.
func (s *Client) keep(g *generation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if newest := s.newest.Load(); newest != nil && g.asked < newest.asked {
		g.erase()
		return
	}
	s.newest.Swap(g).erase()
}

// join is what the next Join says after the name of a generation, if there is one to join by.
func (s *Client) join(now time.Time) (*generation, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.newest.Load()
	if !g.fit(now) || g.joined == 1<<32-1 {
		return nil, nil
	}
	g.joined++
	b := binary.BigEndian.AppendUint32(make([]byte, 0, joinLen), g.joined)
	b = b[:joinLen-8]
	s.fill(b[4:])
	return g, b
}

// ClientCarrier is a client's end of one carrier. One goroutine at a time may write
// (Head, Early, Seal, SealMessage, Again) and one may read (Receive, Open, Answer).
type ClientCarrier struct {
	end
	session *Client

	// Guarded by end.mu.
	try    *try   // the Agree that was sent
	agreed []byte // the answer to it, which the gateway door repeats
	told   bool   // the challenge is known, and has not come by the carrier
	ahead  bool   // the Agree went with the request for the carrier
	again  *try   // that was made inside a record, and not answered
}

// Carrier makes the client's end of a carrier that token has opened.
func (s *Client) Carrier(d Door, token wire.Token) *ClientCarrier {
	c := &ClientCarrier{session: s, end: end{place: place{door: d, token: token}}}
	c.side = c
	return c
}

// Agrees reports whether there is a generation that a carrier may join by, perhaps.
func (s *Client) Agrees() bool { return s.newest.Load() != nil }

// Told gives the carrier, before it is used, the challenge that its origin has said elsewhere and says again by it. At the
// gateway door there is none, whatever an edge says.
func (c *ClientCarrier) Told(challenge [16]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.door == Gateway {
		return
	}
	c.o, c.challenged, c.told = challenge, true, true
}

// Ahead makes the first message of a carrier of the stream door that cannot join: an Agree that goes with the request for
// the carrier. Call Unanswered if what came with the answer to that does not answer it. nil: the carrier joins, or its door
// is another.
func (c *ClientCarrier) Ahead(now time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.door != Stream || c.session.newest.Load().fit(now) {
		return nil
	}
	at := c.place
	at.ahead, c.ahead = true, true
	c.try, c.state = c.session.offer(c, at, now), Agreeing
	return appendPlain(nil, Agree, c.try.message...)
}

// Unanswered has a carrier agree by itself whose Agree went ahead.
func (c *ClientCarrier) Unanswered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ahead && c.state == Agreeing {
		c.try, c.state, c.ahead = nil, Waiting, false
	}
}

// AgreedMessage is the answer to an Agree as the message that a carrier takes it by.
func AgreedMessage(answer []byte) []byte { return appendPlain(nil, Agreed, answer...) }

// Head appends to b the plain message that must go before the next record, if any, and
// reports whether a record may follow. While Early says so it may hold Open and Pad frames alone.
func (c *ClientCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case Live:
		c.follow(now)
		return c.turn(b), true
	case Waiting:
		return c.start(b, now)
	case Joining, Agreeing:
		return b, c.door == Stream && !c.ahead
	}
	return b, false
}

// Shape is what carriers of the session's user by a front look as they do by in an epoch.
func (c *ClientCarrier) Shape(front string, epoch uint64) [32]byte {
	return shapeOf(c.session.pair, front, epoch)
}

// follow has the carrier turn to the session's newest generation.
func (c *ClientCarrier) follow(now time.Time) {
	g := c.session.newest.Load()
	if c.isBound() || !c.settled() || g == c.out.of || !g.fit(now) {
		return
	}
	if out, err := c.derive(g); err == nil { // else it was erased this moment
		c.next = out
	}
}

// settled reports that both directions go under one generation.
func (c *ClientCarrier) settled() bool { return c.latest != nil && c.latest.of == c.out.of }

// start joins if it can. To agree at the stream door takes the challenge.
func (c *ClientCarrier) start(b []byte, now time.Time) ([]byte, bool) {
	if g, join := c.session.join(now); g != nil && !c.unknown {
		if out, err := c.begin(g, join); err == nil {
			c.out, c.next, c.state = out, out, Joining
			return append(appendPlain(b, Join, g.name[:]...), join...), true
		}
	}
	if c.door == Stream && !c.challenged {
		return b, false
	}
	c.try, c.state = c.session.offer(c, c.place, now), Agreeing
	c.out, c.number = earlyKey(&c.try.hello, c.try.root), 0
	return appendPlain(b, Agree, c.try.message...), true
}

// Early reports whether records go under an early key. The writer calls it.
func (c *ClientCarrier) Early() bool { return c.out == nil || c.out.of == nil }

func (c *ClientCarrier) receive(p Plain, body []byte, _ time.Time) (Event, error) {
	gateway := c.door == Gateway
	switch {
	case p == Challenge && !c.challenged && !gateway && c.state <= Joining:
		c.challenged, c.o = true, [16]byte(body)
		if c.state == Joining {
			c.bind(c.keys[0])
		}
		return Speak, nil
	case p == Challenge && c.told && c.o == [16]byte(body):
		c.told = false
		return 0, nil
	case p == Fill && c.takesFill(body):
		return 0, nil
	case p == Agreed && c.state == Agreeing:
		return c.finish(body)
	case p == Agreed && gateway && c.state == Live && bytes.Equal(body, c.agreed):
		c.pick(c.first)
		return 0, nil
	case p == Turn && (c.state == Live || c.state == Joining && gateway) && c.pick(int16(body[0])):
		return 0, nil
	case p == Unknown && c.state == Joining && !c.unknown:
		c.unknown, c.state = true, Waiting
		return Speak, nil
	case p == Unknown && gateway && c.unknown && c.state != Dead: // again
		return 0, ErrRepeated
	}
	return 0, ErrOrder
}

func (c *ClientCarrier) finish(body []byte) (ev Event, err error) {
	g, ev, err := c.session.answered(c.try, body)
	if err != nil {
		return 0, err
	}
	c.next, err = c.begin(g, nil)
	c.pick(c.first)
	c.session.keep(g)
	c.try, c.state = nil, Live
	if c.door == Gateway { // where it may come again
		c.agreed = bytes.Clone(body)
	}
	return ev | Speak, err
}

func (c *ClientCarrier) prove(*key) error {
	if c.state == Joining {
		c.state = Live
	}
	return nil
}

// Again makes the body of an Again frame, if the session is to be agreed on again. The
// writer calls it after Head, when there is something else to send.
func (c *ClientCarrier) Again(now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Live || c.again != nil || !c.worn(now) {
		return nil, false
	}
	at := c.place
	at.inside = true
	if c.again = c.session.offer(c, at, now); c.again == nil {
		return nil, false
	}
	return c.again.message, true
}

// worn reports that the newest generation is old, or one of its keys here half used up.
func (c *ClientCarrier) worn(now time.Time) bool {
	g := c.session.newest.Load()
	return !g.fit(now) || g == c.out.of && c.settled() && max(c.out.used, c.latest.used) >= MaxRecords/2
}

// Answer takes the body of an Answer frame. One that nothing asked for is ignored.
func (c *ClientCarrier) Answer(body []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again == nil {
		return
	}
	if g, _, err := c.session.answered(c.again, body); err == nil {
		c.session.keep(g)
	}
	c.again = nil
	c.Close()
}

// Close says that the carrier does not agree any more, so that another may at once. Call
// it when the carrier is over.
func (c *ClientCarrier) Close() {
	s := c.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trying == c {
		s.trying = nil
	}
}
