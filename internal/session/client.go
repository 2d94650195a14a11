package session

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"
	"sync/atomic"
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

	newest atomic.Pointer[generation] // of those that were answered, the one that was asked for last

	mu sync.Mutex // guards the following
	generations
	root    [32]byte // zero: nobody has agreed yet
	process [16]byte
	owner   [8]byte
	tries   byte
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

func (s *Client) fill(b []byte) { must(io.ReadFull(s.random, b)) }

// Expire erases generations whose time is over. Call it every minute or so.
func (s *Client) Expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
}

// offer makes an Agree for a place.
func (s *Client) offer(at place, now time.Time) *try {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hello{I: s.i, How: byte(s.cipher) | bit(s.root != [32]byte{})<<1, J: s.tries}
	s.fill(h.E[:])
	s.tries++
	hs := s.pair.Handshake(true, at.prologue(), s.random)
	sealed, _, _, err := hs.WriteMessage(nil, marshal(h))
	must(sealed, err) // it fails if there is no randomness
	return &try{hs, h, s.root, at.inside, now.Round(0), append(at.mac(s.pair, sealed), sealed...)}
}

// answered makes the generation of a try that was answered the newest, unless a later
// try was answered before: an answer that was held back changes nothing.
func (s *Client) answered(t *try, body []byte, now time.Time) (*generation, Event, error) {
	g, a, err := t.finish(body)
	if err != nil {
		return nil, 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ev, begun := Event(0), s.root != [32]byte{}
	switch {
	case t.root != s.root: // the session has begun anew meanwhile
		return nil, 0, ErrOrder
	case begun && a.Owner != s.owner || a.known() && a.B != s.process:
		return nil, 0, ErrElsewhere
	case !a.known():
		ev = Event(bit(begun)) * Restarted
		s.begin(g, a)
	}
	s.add(g, now)
	if newest := s.newest.Load(); newest == nil || !g.born.Before(newest.born) {
		s.newest.Store(g)
	}
	return g, ev, nil
}

// begin has the session begin with g: the first time, or as the origin has forgotten it.
func (s *Client) begin(g *generation, a answer) {
	s.erase(func(*generation) bool { return true })
	s.newest.Store(nil)
	s.root, _ = g.derive(labelRoot) // it was made this moment
	s.process, s.owner, s.trying = a.B, a.Owner, nil
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

// mayTry reports that c is to agree on the session again, and notes that it does. Others
// wait until it is answered or over, or has taken long: whoever holds an answer back harms
// that carrier alone.
func (s *Client) mayTry(c *ClientCarrier, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trying != nil && now.Sub(s.tried) < tryAgain {
		return false
	}
	s.trying, s.tried = c, now
	return true
}

// leave notes that c does not try any more.
func (s *Client) leave(c *ClientCarrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trying == c {
		s.trying = nil
	}
}

// ClientCarrier is a client's end of one carrier. One goroutine at a time may write
// (Head, Early, Seal, SealMessage, Again) and one may read (Receive, Open, Answer).
type ClientCarrier struct {
	end
	session *Client

	// Guarded by end.mu.
	challenged bool
	unknown    bool        // the origin has said so
	joined     *generation // by which it joined
	try        *try        // the Agree that was sent
	agreed     []byte      // the answer to it, which the gateway door repeats
	again      *try        // that was made inside a record, and not answered
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
		c.follow(now)
		return c.turn(b), true
	case Waiting:
		return c.start(b, now)
	case Joining, Agreeing:
		return b, c.place.door == Stream
	}
	return b, false
}

// follow has the carrier turn to the session's newest generation, one at a time: not
// before the origin has turned to the last. So the reader has both keys, however late
// the origin's Turn comes.
func (c *ClientCarrier) follow(now time.Time) {
	g := c.session.newest.Load()
	if c.next != nil || !c.settled() || g == c.out.of || !g.fit(now) {
		return
	}
	if out, in, err := c.keys(g); err == nil { // else it was erased this moment
		c.next = out
		c.in.add(in)
	}
}

// settled reports that both directions go under one generation.
func (c *ClientCarrier) settled() bool { return c.in.latest != nil && c.in.latest.of == c.out.of }

// start joins if it can. To agree at the stream door takes the challenge.
func (c *ClientCarrier) start(b []byte, now time.Time) ([]byte, bool) {
	if !c.unknown {
		if g, j := c.session.joining(now); g != nil && c.join(g, j) == nil {
			return appendPlain(b, Join, marshal(j)...), true
		}
	}
	if c.place.door == Stream && !c.challenged {
		return b, false
	}
	c.try, c.state = c.session.offer(c.place, now), Agreeing
	c.out = sealer{key: earlyKey(c.try.hello, c.try.root)} // early records are counted from 0
	return appendPlain(b, Agree, c.try.message...), true
}

func (c *ClientCarrier) join(g *generation, j join) (err error) {
	c.begin(g, j)
	c.joined, c.state = g, Joining
	c.out.key, err = c.listen(g)
	return err
}

// listen has what comes opened under g alone, and returns what to seal with.
func (c *ClientCarrier) listen(g *generation) (*key, error) {
	out, in, err := c.keys(g)
	c.in.keys, c.in.at = nil, nil
	c.in.add(in)
	return out, err
}

// Early reports whether records go under an early key. The writer calls it.
func (c *ClientCarrier) Early() bool { return c.out.key == nil || c.out.of == nil }

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
		return Speak, c.challenge([16]byte(body))
	case p == Agreed && c.state == Agreeing:
		return c.finish(body, now)
	case p == Agreed && gateway && c.state == Live && bytes.Equal(body, c.agreed):
		c.pick(c.first)
		return 0, nil
	case p == Turn && (c.state == Live || c.state == Joining && gateway) && c.pick(int(body[0])):
		return 0, nil
	case p == Unknown && c.state == Joining && !c.unknown:
		c.unknown, c.state = true, Waiting
		return Speak, nil
	case p == Unknown && gateway && c.unknown && c.state != Dead: // again
		return 0, nil
	}
	return 0, ErrOrder
}

// challenge binds what the origin answers a Join to o.
func (c *ClientCarrier) challenge(o [16]byte) (err error) {
	c.challenged, c.place.o = true, o
	if c.state == Joining {
		_, err = c.listen(c.joined)
	}
	return err
}

func (c *ClientCarrier) finish(body []byte, now time.Time) (Event, error) {
	g, ev, err := c.session.answered(c.try, body, now)
	if err != nil {
		return 0, err
	}
	c.begin(g, join{})
	c.agreed, c.try, c.state = bytes.Clone(body), nil, Live
	c.next, err = c.listen(g)
	c.pick(c.first)
	return ev | Speak, err
}

// Open opens a record in place, of a message's number at the gateway door. Errors are
// ErrRecord, and ErrRepeated, which is to be ignored.
func (c *ClientCarrier) Open(number uint32, sealed []byte) ([]byte, error) {
	n := c.numbered(number)
	if c.in.at == nil {
		c.mu.Lock()
		c.pick(c.first) // no Turn comes before what answers a Join
		c.mu.Unlock()
	}
	plain, err := c.in.open(n, sealed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && c.state == Joining {
		c.state, c.joined = Live, nil
	}
	return plain, c.opened(n, err)
}

// Again makes the body of an Again frame, if the session is to be agreed on again. The
// writer calls it after Head, when there is something else to send.
func (c *ClientCarrier) Again(now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != Live || c.again != nil || !c.worn(now) || !c.session.mayTry(c, now) {
		return nil, false
	}
	at := c.place
	at.inside = true
	c.again = c.session.offer(at, now)
	return c.again.message, true
}

// worn reports that the newest generation is old, or one of its keys here half used up.
func (c *ClientCarrier) worn(now time.Time) bool {
	g := c.session.newest.Load()
	return !g.fit(now) || g == c.out.of && c.settled() && max(c.out.used, c.in.latest.used) >= MaxRecords/2
}

// Answer takes the body of an Answer frame. One that nothing asked for is ignored.
func (c *ClientCarrier) Answer(body []byte, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.again == nil || len(body) != agreedLen {
		return
	}
	_, _, _ = c.session.answered(c.again, body, now) // a try that failed may be made again
	c.again = nil
	c.session.leave(c)
}

// Close says that the carrier is over, so that another may agree again at once.
func (c *ClientCarrier) Close() { c.session.leave(c) }
