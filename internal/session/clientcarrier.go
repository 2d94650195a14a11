package session

import (
	"bytes"
	"culvert/internal/wire"
	"time"
)

// ClientCarrier is a client's end of one carrier. One goroutine at a time may write
// (Head, Seal, SealMessage, Again) and one may read (Receive, Open, Answer).
type ClientCarrier struct {
	end
	session *Client

	// Guarded by end.mu.
	challenged bool
	unknown    bool // the origin has said so
	by         *generation
	try        *try   // the Agree that was sent
	agreed     []byte // the answer to it, which the gateway door repeats
	again      *try
	opened     uint64 // records since the origin turned
}

// Carrier makes the client's end of a carrier that token has opened.
func (s *Client) Carrier(d Door, token wire.Token) *ClientCarrier {
	c := &ClientCarrier{session: s}
	c.sendLabel, c.recvLabel = labelUp, labelDown
	c.place = place{door: d, token: token}
	return c
}

// Head appends to b the plain message that must go before the next record, if any, and
// reports whether a record may follow. While Early says so it may hold Open and Pad frames alone.
func (c *ClientCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.state {
	case Waiting:
		return c.start(b, now)
	case Joining, Agreeing:
		return b, c.place.door == Stream
	case Live:
		return c.turned(b, c.session.current(), now), true
	}
	return b, false
}

// start joins if it can. To agree at the stream door takes the challenge.
func (c *ClientCarrier) start(b []byte, now time.Time) ([]byte, bool) {
	if !c.unknown {
		if g, j, ok := c.session.joining(now); ok {
			return c.join(b, g, j)
		}
	}
	if c.place.door == Stream && !c.challenged {
		return b, false
	}
	t, err := c.session.offer(c.place)
	if err != nil {
		c.state = Dead
		return b, false
	}
	c.try, c.sent, c.state = t, nil, Agreeing
	c.out = Sealer{} // early records are counted from 0
	c.out.Turn(t.hello.cipher, earlyKey(&t.hello.e, &t.root))
	return appendPlain(b, Agree, t.message...), true
}

func (c *ClientCarrier) join(b []byte, g *generation, j join) ([]byte, bool) {
	c.begin(g, j)
	key, err := c.key(g, labelUp)
	if err != nil {
		return b, false
	}
	c.out.Turn(c.cipher, key)
	c.by, c.sent, c.state = g, g, Joining
	if c.place.door == Gateway || c.challenged {
		_ = c.listen(g) // it was good this moment
	}
	return appendPlain(b, Join, j.append(nil)...), true
}

// Early reports whether records go under an early key.
func (c *ClientCarrier) Early() bool { return c.sent == nil }

// Receive takes a plain message. Errors are ErrOrder, ErrProof and ErrElsewhere.
func (c *ClientCarrier) Receive(p Plain, body []byte, now time.Time) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ev, err := c.receive(p, body, now)
	return ev, c.fail(err)
}

func (c *ClientCarrier) receive(p Plain, body []byte, now time.Time) (Event, error) {
	switch {
	case !p.whole(body):
		return 0, ErrMessage
	case p == Challenge && !c.challenged && c.place.door == Stream && c.state <= Joining:
		return c.challenge(body)
	case p == Agreed && c.state == Agreeing:
		return c.finish(body, now)
	case p == Agreed && c.place.door == Gateway && bytes.Equal(body, c.agreed):
		c.name = uint16(c.by.j)
		return 0, nil
	case p == Turn && (c.state == Live || c.state == Joining && c.place.door == Gateway):
		return 0, c.turnIn(body[0])
	case p == Unknown && c.state == Joining && !c.unknown:
		c.unknown, c.state = true, Waiting
		return Speak, nil
	case p == Unknown && c.unknown && c.place.door == Gateway: // again
		return 0, nil
	}
	return 0, ErrOrder
}

func (c *ClientCarrier) challenge(o []byte) (Event, error) {
	c.challenged, c.place.o = true, [16]byte(o)
	if c.state == Waiting {
		return Speak, nil
	}
	return 0, c.listen(c.by)
}

func (c *ClientCarrier) finish(body []byte, now time.Time) (Event, error) {
	g, ev, err := c.session.answered(c.try, body, now)
	if err != nil {
		return 0, err
	}
	c.begin(g, join{})
	c.by, c.agreed, c.try, c.state = g, bytes.Clone(body), nil, Live
	if err := c.turnTo(g, false); err != nil {
		return 0, err
	}
	return ev | Speak, c.listen(g)
}

func (c *ClientCarrier) turnIn(j byte) error {
	if c.name = uint16(j); c.in.Has(c.name) {
		return nil
	}
	g := c.session.called(j)
	if g == nil {
		return ErrOrder
	}
	c.opened = 0
	return c.listen(g)
}

// Open opens a record in place, of a message's number at the gateway door. Errors are
// ErrRecord, and ErrRepeated, which is to be ignored.
func (c *ClientCarrier) Open(number uint32, sealed []byte) ([]byte, error) {
	plain, err := c.in.Open(c.name, c.numbered(number), sealed)
	if err == ErrRepeated {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opened++; err == nil && c.state == Joining {
		c.state = Live
	}
	return plain, c.fail(err)
}

// Again makes the body of an Again frame, if the session is to be agreed on again. The
// writer calls it after Head, when there is something else to send.
func (c *ClientCarrier) Again(now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spent := max(c.out.Used(), c.opened) >= MaxRecords/2
	if c.state != Live || !c.session.mayTry(spent, now) {
		return nil, false
	}
	at := c.place
	at.inside = true
	t, err := c.session.offer(at)
	if err != nil {
		return nil, false
	}
	c.again = t
	return t.message, true
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
		c.session.tryOver()
	}
}
