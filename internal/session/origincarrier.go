package session

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// OriginCarrier is an origin's end of one carrier. One goroutine at a time may write
// (Head, Seal, SealMessage) and one may read (Receive, Open, Early, Again).
type OriginCarrier struct {
	end
	origin *Origin
	pair   *seal.Pair
	user   uint32
	until  time.Duration // since started: it is to have proved itself by then

	// Guarded by end.mu.
	session *Session  // nil: none yet
	n       uint32    // of its Join, until that is taken
	refused bool      // a Join named no generation: Unknown is said once
	ahead   bool      // its Agree came with the request, and was answered there
	agreed  *exchange // nil: there was no Agree, or nobody brings it again
}

// exchange is an Agree and the answer to it, behind a pointer as most carriers have none.
type exchange struct {
	message []byte // the Agree, where it may come again: at the gateway door
	answer  []byte
}

// started is what times count from that are kept in a third of what time.Time takes.
var started = time.Now()

// Carrier makes the origin's end of a carrier that user's token has opened, which
// proved itself by a key of pair.
func (o *Origin) Carrier(d Door, token wire.Token, user uint32, p *seal.Pair, now time.Time) *OriginCarrier {
	c := &OriginCarrier{origin: o, pair: p, user: user, until: now.Sub(started) + ProveWithin}
	c.side, c.atOrigin, c.place, c.state = c, true, place{door: d, token: token}, Unproven
	if d == Stream {
		seal.Must(io.ReadFull(o.random, c.o[:]))
	}
	return c
}

// Late reports whether the carrier has had its time and proved nothing. End it.
func (c *OriginCarrier) Late(now time.Time) bool {
	return c.State() != Live && now.Sub(started) >= c.until
}

// Challenge is what the carrier says first, which the client may be told elsewhere, too.
func (c *OriginCarrier) Challenge() [16]byte { return c.o }

// Ahead answers the Agree that came with the request for a carrier of the stream door, if that is all of first. Until a
// record shows that the client has the answer none is sealed. A nil answer leaves the carrier as it was. rest is what
// the carrier itself is to read: first if that is anything else, since an Agree means nothing but where it stands.
func (c *OriginCarrier) Ahead(first []byte, now time.Time) (answer, rest []byte) {
	p, body, more, err := Next(first)
	if err != nil || p != Agree || c.door != Stream {
		return nil, first
	}
	if len(more) > 0 {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.place
	at.ahead, at.o = true, [16]byte{}
	g, answer, _, err := c.agreement(body, at, now)
	if err != nil {
		return nil, nil
	}
	if c.next, err = c.begin(g, nil); err != nil {
		return nil, nil
	}
	c.pick(c.first)
	c.session, c.state, c.ahead = g.session, Answered, true
	return answer, nil
}

// Shape is ClientCarrier's.
func (c *OriginCarrier) Shape(front string, epoch uint64) [32]byte {
	return shapeOf(c.pair, front, epoch)
}

// Session is what the carrier belongs to; nil while nothing is known of that. Only
// when the carrier is Live its user is charged, and frames of all kinds count.
func (c *OriginCarrier) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session
}

// Early reports whether the record that was opened last may hold Open and Pad frames
// alone. The reader calls it.
func (c *OriginCarrier) Early() bool { return c.at != nil && c.at.of == nil }

// Head appends to b the plain messages that must go before the next record, if any,
// and reports whether a record may follow.
func (c *OriginCarrier) Head(b []byte, now time.Time) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.door == Stream && !c.challenged && !c.knows(now) {
		b = appendPlain(b, Challenge, c.o[:]...)
		c.challenged = true
	}
	switch {
	case c.state == Live:
		return c.turn(b), true
	case c.state == Answered && c.session.dropped.Load():
		c.state = Dead
	case c.state == Answered && c.ahead:
	case c.state == Answered:
		if c.out == nil || c.door == Gateway { // once, or with each message
			b = appendPlain(b, Agreed, c.agreed.answer...)
		}
		c.out = c.next
		if c.door == Stream {
			c.agreed = nil // nobody asks again
		}
		return b, true
	case c.state == Unproven && c.unknown:
		c.unknown = false
		b = appendPlain(b, Unknown)
	}
	return b, false
}

// toldWithin is how long an origin that has answered an Agree with the request takes the client to have that answer.
const toldWithin = 200 * time.Millisecond

// knows reports that the client has the challenge, or probably has: it came with the answer to its Agree.
func (c *OriginCarrier) knows(now time.Time) bool {
	return c.ahead && (c.state == Live || now.Sub(started) < c.until+toldWithin-ProveWithin)
}

func (c *OriginCarrier) receive(p Plain, body []byte, now time.Time) (Event, error) {
	gateway := c.door == Gateway && c.state != Dead
	switch {
	case c.state == Answered && c.ahead && (p == Join || p == Agree): // the client has not heard the answer
		c.ahead, c.session, c.state = false, nil, Unproven
		return c.receive(p, body, now)
	case c.state == Unproven && p == Join:
		return c.join(body)
	case c.state == Unproven && p == Agree:
		return Speak, c.agree(body, now)
	case gateway && p == Agree && c.agreed != nil && bytes.Equal(body, c.agreed.message): // again
		return 0, c.pickAgain(early)
	case gateway && p == Join && c.agreed == nil: // again, or another whose record will not open
		return 0, c.pickAgain(c.first)
	case gateway && p == Join:
		return 0, ErrRepeated
	case p == Fill && c.takesFill(body):
		return 0, nil
	case p == Turn && (c.state == Answered || c.state == Live):
		return 0, c.turnIn(body[0])
	}
	return 0, ErrOrder
}

// pickAgain is pick for a plain message that has come before. Where no key is left for its
// record there is no telling whether that is the one which has come, too.
func (c *OriginCarrier) pickAgain(name int16) error {
	if !c.pick(name) {
		return ErrRepeated
	}
	return nil
}

// join believes nothing yet.
func (c *OriginCarrier) join(body []byte) (Event, error) {
	n := binary.BigEndian.Uint32(body[8:])
	if n == 0 {
		return 0, ErrMessage
	}
	g := c.origin.find(c.user, func(g *generation) bool { return g.name == [8]byte(body) })
	if g == nil && c.refused && c.door == Gateway { // again
		return 0, ErrRepeated
	}
	if g == nil {
		c.unknown, c.refused = true, true
		return Speak, nil
	}
	_, err := c.begin(g, body[8:])
	c.pick(c.first)
	c.n, c.session, c.state = n, g.session, Joined
	return 0, err
}

func (c *OriginCarrier) agree(body []byte, now time.Time) error {
	g, answer, early, err := c.agreement(body, c.place, now)
	if err != nil {
		return err
	}
	c.session, c.state, c.unknown = g.session, Answered, false
	c.agreed, c.came = &exchange{answer: answer}, Window{}
	if c.door == Gateway { // where it may come again
		c.agreed.message = bytes.Clone(body)
	}
	c.next, err = c.begin(g, nil)
	if c.at = early; early != nil {
		c.keys = append(c.keys, early)
	}
	return err
}

// turnIn has the record at hand opened under the generation that a Turn names.
func (c *OriginCarrier) turnIn(j byte) error {
	if c.pick(int16(j)) {
		return nil
	}
	g := c.origin.find(c.user, func(g *generation) bool { return g.session == c.session && g.j == j })
	if g == nil {
		return ErrOrder
	}
	_, err := c.derive(g)
	c.pick(int16(j))
	return err
}

// read opens the body of an Agree that stands at a place. What is garbage, or was made
// for another carrier, costs a hash.
func (c *OriginCarrier) read(body []byte, at place, now time.Time) (*noise.HandshakeState, hello, error) {
	if len(body) != agreeLen || !hmac.Equal(body[:macLen], at.mac(c.pair, body[macLen:])) {
		return nil, hello{}, ErrProof
	}
	if !c.mayAgree(at, now) {
		return nil, hello{}, ErrBusy
	}
	hs := c.pair.Handshake(false, at.prologue(), c.origin.random)
	plain, _, _, err := hs.ReadMessage(nil, body[macLen:])
	if err != nil || !c.pair.IsPeer(hs.PeerStatic()) {
		return nil, hello{}, ErrProof
	}
	h, err := parseHello(plain)
	return hs, h, err
}

// mayAgree bounds what is computed. A session that lives is bounded by itself, so that it
// goes on whatever others of its user's do.
func (c *OriginCarrier) mayAgree(at place, now time.Time) bool {
	if at.inside && c.session != nil {
		return c.session.mayRenew(now)
	}
	allow := c.origin.cfg.Allow
	return allow == nil || allow(c.user, now)
}

// agreement answers an Agree that stands at a place. early opens what follows one that is
// plain; nil: that is of a session which is not known here any more.
func (c *OriginCarrier) agreement(body []byte, at place, now time.Time) (g *generation, sealed []byte, early *key, err error) {
	o := c.origin
	hs, h, err := c.read(body, at, now)
	if err != nil {
		return nil, nil, nil, err
	}
	s, root, err := o.session(c.user, h, now)
	if err != nil {
		return nil, nil, nil, err
	}
	known := root != [32]byte{}
	if at.inside && (s != c.session || !known) {
		return nil, nil, nil, ErrProof
	}
	if known || !h.goesOn() {
		early = earlyKey(&h, root)
	}
	owner := c.pair.MAC("culvert 2 owner", []byte(o.cfg.Address))
	sealed, first, second, err := hs.WriteMessage(nil, slices.Concat(o.process[:], owner[:8], []byte{bit(known)}))
	if err != nil {
		return nil, nil, nil, ErrProof
	}
	g = newGeneration(hs, first, second, root, &h, now)
	return g, sealed, early, o.adopt(s, g)
}

func (c *OriginCarrier) prove(k *key) (err error) {
	if k.of != nil {
		if err = c.origin.prove(k.of, c.n); err == nil {
			c.n, c.state = 0, Live
		}
	}
	return err
}

// Again answers the body of an Again frame with that of an Answer frame; nothing where the session
// agrees too often. The carrier is Live.
func (c *OriginCarrier) Again(body []byte, now time.Time) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.place
	at.inside = true
	if c.state != Live {
		return nil, c.fail(ErrOrder)
	}
	_, answer, _, err := c.agreement(body, at, now)
	if errors.Is(err, ErrBusy) {
		return nil, nil
	}
	return answer, c.fail(err)
}
