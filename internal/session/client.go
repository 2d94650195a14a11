package session

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"
	"time"

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

	mu sync.Mutex // guards the following
	generations
	root    [32]byte // zero: nobody has agreed yet
	process [16]byte
	owner   [8]byte
	tries   byte
	tried   time.Time // when the last Again was made
}

// NewClient makes a session that nobody has agreed on yet.
func NewClient(p *seal.Pair, c Cipher) *Client { return newClient(p, c, rand.Reader) }

func newClient(p *seal.Pair, c Cipher, random io.Reader) *Client {
	s := &Client{pair: p, cipher: c, random: random}
	s.fill(s.i[:])
	return s
}

func (s *Client) fill(b []byte) { must(io.ReadFull(s.random, b)) }

// Expire erases generations whose time is over. Call it every minute or so.
func (s *Client) Expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
}

// offer makes an Agree for a place.
func (s *Client) offer(at place) *try {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hello{I: s.i, How: byte(s.cipher) | bit(s.root != [32]byte{})<<1, J: s.tries}
	s.fill(h.E[:])
	s.tries++
	hs := s.pair.Handshake(true, at.prologue(), s.random)
	sealed, _, _, err := hs.WriteMessage(nil, marshal(h))
	must(sealed, err) // it fails if there is no randomness
	return &try{hs, h, s.root, at.inside, append(at.mac(s.pair, sealed), sealed...)}
}

// answered makes the generation of a try that was answered the newest.
func (s *Client) answered(t *try, body []byte, now time.Time) (*generation, Event, error) {
	g, a, err := t.finish(body)
	if err != nil {
		return nil, 0, err
	}
	g.born = now.Round(0) // by the wall clock, which goes on while a phone sleeps
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := s.root != [32]byte{}
	switch {
	case t.root != s.root: // the session has begun anew meanwhile
		return nil, 0, ErrOrder
	case begun && a.Owner != s.owner || a.known() && a.B != s.process:
		return nil, 0, ErrElsewhere
	case a.known():
		s.advance(g)
		return g, 0, nil
	}
	s.begin(g, a)
	return g, Event(bit(begun)) * Restarted, nil
}

// begin has the session begin with g: the first time, or as the origin has forgotten it.
func (s *Client) begin(g *generation, a answer) {
	for _, old := range s.all() {
		old.erase()
		s.forget(old)
	}
	s.root, _ = g.derive(labelRoot) // it was made this moment
	s.process, s.owner = a.B, a.Owner
	s.advance(g)
}

// joining is what the next Join says, if there is a generation to join by.
func (s *Client) joining(now time.Time) (*generation, join) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.newest.Load()
	if !g.fit(now) || g.joined == 1<<32-1 {
		return nil, join{}
	}
	g.joined++
	j := join{G: g.name, N: g.joined}
	s.fill(j.C[:])
	return g, j
}

// called finds a generation by its number.
func (s *Client) called(j byte) *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(j)
}

// mayTry reports that the session is to be agreed on again, and notes that it is.
func (s *Client) mayTry(spent bool, now time.Time) bool {
	if s.newest.Load().fit(now) && !spent {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.tried) < tryAgain {
		return false
	}
	s.tried = now
	return true
}

// ClientCarrier is a client's end of one carrier. One goroutine at a time may write
// (Head, Early, Seal, SealMessage, Again) and one may read (Receive, Open, Answer).
type ClientCarrier struct {
	end
	session *Client

	// Guarded by end.mu.
	challenged bool
	unknown    bool   // the origin has said so
	try        *try   // the Agree that was sent
	agreed     []byte // the answer to it, which the gateway door repeats
	again      *try
}

// Carrier makes the client's end of a carrier that token has opened.
func (s *Client) Carrier(d Door, token wire.Token) *ClientCarrier {
	c := &ClientCarrier{session: s}
	c.place = place{door: d, token: token}
	return c
}

// Head appends to b the plain message that must go before the next record, if any, and
// reports whether a record may follow. While Early says so it may hold Open and Pad frames alone.
func (c *ClientCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case Live:
		return c.turned(b, c.session.newest.Load(), now)
	case Waiting:
		return c.start(b, now)
	case Joining, Agreeing:
		return b, c.place.door == Stream
	}
	return b, false
}

// start joins if it can. To agree at the stream door takes the challenge.
func (c *ClientCarrier) start(b []byte, now time.Time) ([]byte, bool) {
	if !c.unknown {
		if g, j := c.session.joining(now); g != nil {
			c.begin(g, j)
			c.state = Joining
			return appendPlain(b, Join, marshal(j)...), c.turn(g)
		}
	}
	if c.place.door == Stream && !c.challenged {
		return b, false
	}
	c.try, c.state = c.session.offer(c.place), Agreeing
	c.out, c.sent = sealer{key: earlyKey(c.try.hello, c.try.root)}, nil // early records are counted from 0
	return appendPlain(b, Agree, c.try.message...), true
}

// Early reports whether records go under an early key. The writer calls it.
func (c *ClientCarrier) Early() bool { return c.sent == nil }

// Receive takes a plain message. Errors are ErrOrder, ErrMessage, ErrProof and ErrElsewhere.
func (c *ClientCarrier) Receive(p Plain, body []byte, now time.Time) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ev, err := c.receive(p, body, now)
	return ev, c.fail(err)
}

func (c *ClientCarrier) receive(p Plain, body []byte, now time.Time) (Event, error) {
	gateway := c.place.door == Gateway
	switch {
	case !p.whole(body):
		return 0, ErrMessage
	case p == Challenge && !c.challenged && !gateway && c.state <= Joining:
		c.challenged, c.place.o = true, [16]byte(body)
		return Speak, nil
	case p == Agreed && c.state == Agreeing:
		return c.finish(body, now)
	case p == Agreed && gateway && c.state == Live && bytes.Equal(body, c.agreed):
		c.in.pick(int(c.first.j))
		return 0, nil
	case p == Turn && (c.state == Live || c.state == Joining && gateway):
		return 0, c.turnIn(body[0], c.session.called)
	case p == Unknown && c.state == Joining && !c.unknown:
		c.unknown, c.state = true, Waiting
		return Speak, nil
	case p == Unknown && gateway && c.unknown && c.state != Dead: // again
		return 0, nil
	}
	return 0, ErrOrder
}

func (c *ClientCarrier) finish(body []byte, now time.Time) (Event, error) {
	g, ev, err := c.session.answered(c.try, body, now)
	if err != nil {
		return 0, err
	}
	c.begin(g, join{})
	c.agreed, c.try, c.state = bytes.Clone(body), nil, Live
	return ev | Speak, c.listen(g)
}

// Open opens a record in place, of a message's number at the gateway door. Errors are
// ErrRecord, and ErrRepeated, which is to be ignored.
func (c *ClientCarrier) Open(number uint32, sealed []byte) ([]byte, error) {
	if c.in.at == nil {
		c.listenFirst()
	}
	plain, err := c.in.open(c.numbered(number), sealed)
	if err == ErrRepeated {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		if c.in.at.used++; c.state == Joining {
			c.state = Live
		}
	}
	return plain, c.fail(err)
}

// listenFirst has the reader open what answers a Join. That takes the challenge.
func (c *ClientCarrier) listenFirst() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == Joining && c.challenged {
		_ = c.listen(c.first) // without a key nothing opens
	}
}

// Again makes the body of an Again frame, if the session is to be agreed on again. The
// writer calls it after Head, when there is something else to send.
func (c *ClientCarrier) Again(now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Live || !c.session.mayTry(max(c.out.used, c.in.at.used) >= MaxRecords/2, now) {
		return nil, false
	}
	at := c.place
	at.inside = true
	c.again = c.session.offer(at)
	return c.again.message, true
}

// Answer takes the body of an Answer frame. One for a try that is over is ignored.
func (c *ClientCarrier) Answer(body []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again == nil || len(body) != agreedLen {
		return
	}
	if _, _, err := c.session.answered(c.again, body, now); err == nil {
		c.again = nil
	}
}
