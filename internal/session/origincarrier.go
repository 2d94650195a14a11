package session

import (
	"bytes"
	"cmp"
	"culvert/internal/wire"
	"io"
	"time"
)

// OriginCarrier is an origin's end of one carrier. One goroutine at a time may write
// (Head, Seal, SealMessage) and one may read (Receive, Open, Again).
type OriginCarrier struct {
	end
	origin *Origin
	pair   *Pair
	user   uint32
	until  time.Time // it is to have proved itself

	// Guarded by end.mu.
	session    *Session    // nil: none yet
	first      *generation // that it joined by
	by         *generation // of the record at hand
	older      *generation // the one before
	proved     *generation // the reader's: the last that prove was told of
	n          uint32      // of its Join, until that is taken
	message    []byte      // the Agree, which the gateway door may bring again
	agreed     []byte      // the answer to it
	challenged bool
	unknown    bool // to be told
	told       bool // it was, or is to be
}

// Carrier makes the origin's end of a carrier that user's token has opened, which
// proved itself by a key of pair.
func (o *Origin) Carrier(d Door, token wire.Token, user uint32, p *Pair, now time.Time) *OriginCarrier {
	c := &OriginCarrier{origin: o, pair: p, user: user, until: now.Add(ProveWithin)}
	c.sendLabel, c.recvLabel = labelDown, labelUp
	c.place, c.state = place{door: d, token: token}, Unproven
	if d == Stream {
		_, err := io.ReadFull(o.random, c.place.o[:])
		must(0, err)
	}
	return c
}

// Late reports whether the carrier has had its time and proved nothing. End it.
func (c *OriginCarrier) Late(now time.Time) bool {
	return c.State() != Live && !now.Before(c.until)
}

// Session is what the carrier belongs to; nil while nothing is known of that. Only
// when the carrier is Live its user is charged, and frames of all kinds count.
func (c *OriginCarrier) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Early reports whether the record that was opened last may hold Open and Pad frames alone.
func (c *OriginCarrier) Early() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.early
}

// Head appends to b the plain messages that must go before the next record, if any,
// and reports whether a record may follow.
func (c *OriginCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.place.door == Stream && !c.challenged {
		b = appendPlain(b, Challenge, c.place.o[:]...)
		c.challenged = true
	}
	switch {
	case c.state == Unproven && c.unknown:
		c.unknown = false
		return appendPlain(b, Unknown), false
	case c.state == Answered:
		return c.answer(b, now), true
	case c.state == Live:
		return c.turned(b, c.session.newest.Load(), now), true
	}
	return b, false
}

// answer goes once at the stream door, and with each message at the gateway door.
func (c *OriginCarrier) answer(b []byte, now time.Time) []byte {
	if c.due == nil && c.place.door == Stream {
		return b
	}
	b = appendPlain(b, Agreed, c.agreed...)
	if d := c.due; d != nil {
		c.out.Turn(c.cipher, d.key)
		c.sent, c.due = d.g, nil
	}
	return b
}

// Receive takes a plain message. Errors are ErrOrder, ErrMessage, ErrProof and ErrBusy.
func (c *OriginCarrier) Receive(p Plain, body []byte, now time.Time) (Event, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ev, err := c.receive(p, body, now)
	return ev, c.fail(err)
}

func (c *OriginCarrier) receive(p Plain, body []byte, now time.Time) (Event, error) {
	gateway := c.place.door == Gateway
	switch {
	case !p.whole(body):
		return 0, ErrMessage
	case c.state == Unproven && p == Join:
		return c.join(parseJoin(body))
	case c.state == Unproven && p == Agree:
		return Speak, c.agree(body, now)
	case gateway && p == Agree && bytes.Equal(body, c.message):
		c.name = earlyName
		return 0, nil
	case gateway && p == Join:
		c.name = dropName
		if c.first != nil { // the first message again, or another whose record will not open
			c.name = uint16(c.first.j)
		}
		return 0, nil
	case p == Turn && (c.state == Answered || c.state == Live):
		return 0, c.turnIn(body[0])
	}
	return 0, ErrOrder
}

// join believes nothing yet.
func (c *OriginCarrier) join(j join) (Event, error) {
	g := c.origin.find(c.user, j.g)
	if g == nil || j.n == 0 {
		if c.told && c.place.door == Stream {
			return 0, ErrOrder
		}
		c.unknown, c.told = true, true
		return Speak, nil
	}
	c.begin(g, j)
	c.first, c.by, c.n, c.session, c.state = g, g, j.n, g.session, Joined
	return 0, c.listen(g)
}

func (c *OriginCarrier) agree(body []byte, now time.Time) error {
	g, h, answer, err := c.origin.agree(c, body, c.place, now)
	if err != nil {
		return err
	}
	c.begin(g, join{})
	c.by, c.session, c.state, c.unknown = g, g.session, Answered, false
	c.message, c.agreed = bytes.Clone(body), answer
	c.in, c.name, c.count = Opener{}, earlyName, 0
	if !h.on || !g.first {
		c.listenEarly(h)
	}
	return c.turnTo(g, true)
}

// listenEarly opens early records. Those of a session that is not known here any more stay closed.
func (c *OriginCarrier) listenEarly(h hello) {
	var root [32]byte
	if h.on {
		root = c.session.root // it stays as it is once the session is proved
	}
	c.in.Turn(earlyName, h.cipher, earlyKey(&h.e, &root), false)
}

// agree answers an Agree that stands at a place. No lock is held while it computes.
func (o *Origin) agree(c *OriginCarrier, body []byte, at place, now time.Time) (g *generation, h hello, sealed []byte, err error) {
	if !c.pair.genuine(body, &at) {
		return nil, h, nil, ErrProof
	}
	if o.cfg.Allow != nil && !o.cfg.Allow(c.user, now) {
		return nil, h, nil, ErrBusy
	}
	hs, h, err := c.pair.read(body, &at, o.random)
	if err != nil {
		return nil, h, nil, err
	}
	s, known, root, err := o.session(c.user, h, now)
	if err != nil || at.inside && (s != c.session || !known) {
		return nil, h, nil, cmp.Or(err, ErrProof)
	}
	if sealed, g, err = reply(hs, h, answer{o.process, o.cfg.Owner, known}, &root); err == nil {
		err = o.adopt(s, g, now)
	}
	return g, h, sealed, err
}

func (c *OriginCarrier) turnIn(j byte) error {
	g := c.generation(j)
	if g == nil {
		return ErrOrder
	}
	c.name = uint16(j)
	if g != c.by {
		c.by, c.older = g, c.by
	}
	if c.in.Has(c.name) {
		return nil
	}
	return c.listen(g)
}

// generation finds one by its number: the carrier's own, or else one of the session's.
func (c *OriginCarrier) generation(j byte) *generation {
	for _, g := range []*generation{c.by, c.older} {
		if g != nil && g.j == j {
			return g
		}
	}
	return c.session.called(j)
}

// Open opens a record in place, of a message's number at the gateway door; nil without
// an error is one that was dropped unread. Errors are ErrRecord and ErrProof, and
// ErrRepeated, which is to be ignored.
func (c *OriginCarrier) Open(number uint32, sealed []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	counted := c.numbered(number)
	if c.state == Unproven || c.name == dropName || c.name == earlyName && !c.in.Has(earlyName) {
		return nil, nil // nothing has come that says what records are
	}
	plain, err := c.in.Open(c.name, counted, sealed)
	if err == ErrRepeated {
		return nil, err
	}
	if c.early = c.name == earlyName; err == nil && !c.early && c.proved != c.by {
		err = c.prove()
	}
	if err != nil {
		plain = nil
	}
	return plain, c.fail(err)
}

// prove is called once for each generation that the client turns to.
func (c *OriginCarrier) prove() error {
	g := c.by
	if err := c.origin.prove(g, c.n); err != nil {
		return err
	}
	if c.state == Joined {
		if err := c.turnTo(g, true); err != nil {
			return err
		}
	}
	c.n, c.proved, c.state = 0, g, Live
	return nil
}

// Again answers the body of an Again frame with that of an Answer frame. The carrier
// is Live.
func (c *OriginCarrier) Again(body []byte, now time.Time) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.place
	at.inside = true
	if c.state != Live {
		return nil, c.fail(ErrOrder)
	}
	_, _, sealed, err := c.origin.agree(c, body, at, now)
	return sealed, c.fail(err)
}
