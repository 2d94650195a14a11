package carrier

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// shape is how a carrier's records look to somebody who sees sizes and times and nothing else. The first ones, and
// later those that hold no bytes of a stream, are padded by random lengths, and what nobody waits for goes after
// random times. Both are drawn from distributions that a secret of the user's chooses for each front, direction and
// day: so one user's carriers are alike, as a website's sockets are, those of two users are not, and nobody is known by
// them for long, or by another front. The writer has sent to itself; Carrier.mu guards spent and idle.
type shape struct {
	opening  byte   // records that are padded as first ones
	sent     byte   // first records that have gone
	much     uint16 // mean length of what pads first ones
	little   uint16 // of what pads later ones
	patience time.Duration

	spent uint32 // bytes that have padded first records, and those with bytes of a stream
	idle  uint32 // bytes that have padded others, of a carrier without a budget
}

const (
	// epoch is how long a user's carriers by one front are alike.
	epoch = 24 * time.Hour
	// freePad is how many bytes of one direction of a carrier may be padding, whatever else moves. More may be where
	// more does: one of padShare bytes that go or come, so that both directions take less than 3 of 100 together.
	freePad  = 1 << 10
	padShare = 72
	// idleShare is the part of all that has moved which may pad records without bytes of a stream. They are small, and
	// go when the peer asks for them: so it gets less for its asking than it spends.
	idleShare = 4
	// leastFirst and mostFirst bound how many records are first ones, leastMuch and mostMuch the mean of what pads them.
	leastFirst, mostFirst = 8, 20
	leastMuch, mostMuch   = 40, 200
	// leastLittle and mostLittle bound the mean of what pads later ones.
	leastLittle, mostLittle = 8, 32
	// mostPad bounds what pads a first record, and mostIdle what pads a later one without bytes of a stream.
	mostPad, mostIdle = 600, 48
	// budgetShare is the part of a budget that may be padding.
	budgetShare = 32
	// padSlow is the rate, in bytes a second, below which a path has a quarter of freePad: all of it would take long.
	padSlow = 32 << 10
	// longTrip is a round trip that shows a slow path.
	longTrip = 500 * time.Millisecond
	// leastWait and mostWait bound how long, at most, an ack of little waits for company.
	leastWait, mostWait = 350 * time.Millisecond, 450 * time.Millisecond
	// mostSilent bounds how long an origin's first word waits for the client's, which may not know it: a CDN may have
	// dropped the cookie that says it.
	mostSilent = 800 * time.Millisecond
)

// ShapeFor has the carrier look as those of its user do by a front today. It is called before all else; who does not
// call it has one for no front.
func (c *Carrier) ShapeFor(front string) {
	c.shape = newShape(c.party.Shape(front, uint64(time.Now().Unix())/uint64(epoch/time.Second)), c.set.asks)
}

// newShape is that of one end of a user's carriers.
func newShape(secret [32]byte, isClient bool) shape {
	b := secret[:16]
	if isClient {
		b = secret[16:]
	}
	part := func(i int) float64 { return float64(binary.BigEndian.Uint16(b[2*i:])) / (1 << 16) }
	return shape{
		opening:  byte(leastFirst + part(0)*(mostFirst-leastFirst+1)),
		much:     uint16(between(part(1), leastMuch, mostMuch)),
		little:   uint16(between(part(2), leastLittle, mostLittle)),
		patience: time.Duration(between(part(3), float64(leastWait), float64(mostWait))),
	}
}

// between is a number from least to most, of which small ones are as many as large ones.
func between(part, least, most float64) float64 { return least * math.Pow(most/least, part) }

// wait is how long what may wait for up to most does. Half of the time it is less than a half of that.
func wait(most time.Duration) time.Duration {
	return time.Duration(between(rand.Float64(), float64(most/4), float64(most)))
}

// waitForCompany is how long an ack of little waits now.
func (s *shape) waitForCompany() time.Duration {
	return time.Duration(between(rand.Float64(), float64(s.patience*2/3), float64(s.patience)))
}

// random is a length with a mean.
func random(mean uint16) int { return int(rand.ExpFloat64() * float64(mean)) }

// isOpening reports whether the next record is among the first.
func (s *shape) isOpening() bool { return s.sent < s.opening }

// appendPad pads a record that holds b from begin on, and has room for so many bytes. What is bulk is not: it is cut by
// chance instead, and is taken as it lies in its record.
func (c *Carrier) appendPad(b []byte, begin, room int, t told) []byte {
	n := len(b) - begin
	if t.bulk || room <= n {
		return b
	}
	pad := min(c.padFor(n, t.holds), room-n)
	for range pad {
		b = append(b, byte(wire.Pad))
	}
	return b
}

// padFor is how many bytes pad the next record, which holds n bytes of frames.
func (c *Carrier) padFor(n int, holdsStream bool) int {
	s, pad := &c.shape, random(c.shape.little)
	isOpening := s.isOpening()
	switch {
	case isOpening && s.sent == 0 && c.set.asks: // an agreement is long already
		s.sent++
		pad = min(pad, mostPad)
	case isOpening:
		s.sent++
		pad = min(random(s.much), mostPad)
	case holdsStream:
		pad = min(pad, n/2)
	default:
		pad = min(pad, mostIdle)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !isOpening && !holdsStream && c.path.budget == 0 {
		return take(pad, &s.idle, c.bytes()/idleShare)
	}
	return take(pad, &s.spent, c.mayPad())
}

// skipFill reads what a Fill says follows it. Of what a carrier may bring it takes a part.
func (c *Carrier) skipFill(r io.Reader, n int) error {
	c.mu.Lock()
	if c.set.asks {
		c.path.spend(n)
	}
	c.mu.Unlock()
	return c.fillFrom(r, make([]byte, n))
}

// speakLater is speak after a while, unless the carrier has ended.
func (c *Carrier) speakLater(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead.Load() {
		c.silence = c.set.tasks.AfterFunc(d, c.breakSilence)
	}
}

// breakSilence keeps no timer that is over: an idle client needs none.
func (c *Carrier) breakSilence() {
	c.mu.Lock()
	c.silence = tasks.Timer{}
	c.mu.Unlock()
	c.speak()
}

// take is as much of pad as is left of most, of which some is spent.
func take(pad int, spent *uint32, most uint64) int {
	pad = max(min(pad, int(most)-int(*spent)), 0)
	*spent += uint32(pad)
	return pad
}

// mayPad is how many bytes may pad records that are first or have bytes of a stream. Where a budget says what the
// carrier brings, no other is padded beside that, and all of it is a small part. c.mu is held.
func (c *Carrier) mayPad() uint64 {
	free := uint64(freePad)
	if c.path.budget > 0 {
		free = min(free, c.path.budget/budgetShare)
	}
	if c.isSlow() {
		free = min(free, freePad/4)
	}
	return free + c.bytes()/padShare
}

// isSlow reports whether padding takes long on the carrier's path, as others have found or its round trip has it. c.mu is
// held.
func (c *Carrier) isSlow() bool {
	w := c.path.window
	if h := c.Handler(); w == nil && h != nil && c.set.asks { // an origin's idle carrier needs none
		w = h.Window(c.path.number, c.RTT())
	}
	if c.RTT() > longTrip || w == nil {
		return c.RTT() > longTrip
	}
	rate := w.Rate()
	return rate > 0 && rate < padSlow
}

// cut is how much less than most a record of bulk holds, as long as records are no full ones anyway: of those, senders
// have some more or fewer bytes by chance.
func cut(most int) int {
	if most >= fullMessage {
		return 0
	}
	return rand.IntN(most / 8)
}
