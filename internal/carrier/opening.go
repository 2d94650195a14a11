package carrier

import (
	_ "embed"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/internal/session"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// opening is the first messages of a carrier of the stream door, which go as those of some other WebSocket: who says how
// much when. Both ends know them, by a secret of the user's and the carrier's token. Whoever has something to say, says it
// by the next message that is theirs, whose turn it waits for no longer than mostHold; who has nothing, fills it. A carrier has
// none when it is over: it would be a part of what an idle client costs. Carrier.mu guards it.
type opening struct {
	steps []step
	mine  int // messages that have gone
	came  int // messages that have come
	left  int // bytes that may fill messages yet
	armed int // messages that had gone when timer was set, and one
	next  tasks.Timer
	hold  tasks.Timer
	until time.Time // when hold is over; zero: it is not set
}

// step is a message of an opening.
type step uint16

// openings are what real pages said by WebSockets: for each site several connections, each its number of steps and those.
// test/shape/openings.py makes it.
//
//go:embed openings.bin
var openings []byte

const (
	stepDown  = 1 << 15 // it is the origin's
	stepPause = 1 << 12 // of the bits that say for how long nobody speaks before it, the least
	stepSize  = stepPause - 1
	// perSite is how many connections of each site are kept.
	perSite = 2

	// fillDown and fillUp bound what fills messages.
	fillDown, fillUp = 1400, 600
	// leastHold and mostHold bound how long somebody's bytes wait for a turn, and mostTurn how long when they have it.
	leastHold, mostHold, mostTurn = 10 * time.Millisecond, 50 * time.Millisecond, 25 * time.Millisecond
	// leastIdle and mostIdleHold bound how long waits what nobody waits for.
	leastIdle, mostIdleHold = 50 * time.Millisecond, 200 * time.Millisecond
	// leastRest is how long waits at least what did not fit into a message, or comes right behind it: the next one has more.
	leastRest = 10 * time.Millisecond
	// mostWhole is the length up to which a message is as long as what waits, rather than that another follows at once.
	mostWhole = 1400
	// mostWaiting is what is too much to go by such messages.
	mostWaiting = 3500
	// recordMore is what a record has beside frames, and leastPlayed how long a message may be at least that is one.
	recordMore  = wire.RecordHead + wire.RecordOverhead
	leastPlayed = 72
	// mostPlain bounds what fills a message without a record: nobody has proved anything yet, as a rule.
	mostPlain = 250
	// leastFilled is the least that fills a message: the head of a Fill.
	leastFilled = wire.RecordHead + 1
	// partUp is the part of what may fill messages yet that one of a client's may take. One of an origin's may take all: a
	// server says a lot at once, as often as not. So little as leastFills fills none.
	partUp, leastFills = 2, 40
)

// Play has the carrier begin as another WebSocket. It is called before all else, at both ends or at one.
func (c *Carrier) Play(token *wire.Token) {
	if c.profile.Messages {
		return
	}
	secret := c.party.Shape("", uint64(token.Made().Unix())/uint64(epoch/time.Second))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plays.Store(true)
	c.shape.opening = 0
	c.opening = &opening{steps: stepsOf(secret, token.Nonce()), left: fillDown}
	if c.set.asks {
		c.opening.left = fillUp
	}
	if c.transport.Ahead() { // what nobody sees
		c.opening.came = -1
	}
	c.queue.shut = true
}

// beginOpening has the first message go that is this end's.
func (c *Carrier) beginOpening() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arm(leastHold)
}

// stepsOf are those of a user's site, of one of its connections.
func stepsOf(secret [32]byte, nonce uint64) []step {
	word := func(i int) uint64 { return binary.BigEndian.Uint64(secret[i:]) }
	all := connections()
	site := int(word(0)%uint64(len(all)/perSite)) * perSite
	of := rand.New(rand.NewPCG(word(8), word(16)))
	steps := make([]step, 0, 32)
	for _, s := range all[site+int((nonce^word(24))%perSite)] {
		size := float64(s&stepSize) * math.Exp(of.NormFloat64()/8)
		steps = append(steps, s&^stepSize|step(min(size, stepSize)))
	}
	return steps
}

// connections are what openings has.
var connections = sync.OnceValue(func() (all [][]step) {
	for b := openings; len(b) > 0; {
		n := int(b[0])
		steps := make([]step, n)
		for i := range steps {
			steps[i] = step(binary.BigEndian.Uint16(b[1+2*i:]))
		}
		all, b = append(all, steps), b[1+2*n:]
	}
	return all
})

// own is the next step that this end takes, and whether all before it have been taken; false if there is none. Where the
// one before is its own, too, it goes on.
func (o *opening) own(isClient bool) (s step, isTurn, goesOn, ok bool) {
	mine, theirs := 0, 0
	for i, s := range o.steps {
		switch {
		case s&stepDown == 0 != isClient:
			theirs++
		case mine == o.mine:
			return s, o.came >= theirs, i > 0 && (o.steps[i-1]^s)&stepDown == 0, true
		default:
			mine++
		}
	}
	return 0, false, false, false
}

// arm has the next message go in time if it is this end's turn, and what waits after a while anyway, at least so long. c.mu is
// held.
func (c *Carrier) arm(least time.Duration) {
	o := c.opening
	if o == nil || c.dead.Load() {
		return
	}
	s, isTurn, goesOn, ok := o.own(c.set.asks)
	if !ok {
		c.endOpening()
		return
	}
	if isTurn && o.armed != o.mine+1 {
		turn := o.mine + 1
		o.armed = turn
		o.next = c.set.tasks.AfterFunc(c.takes(s, goesOn), func() { c.due(turn) })
	}
	switch {
	case c.queue.isUrgent() && isTurn:
		c.holdFor(least/2, mostTurn)
	case c.queue.isUrgent():
		c.holdFor(least, mostHold)
	case c.queue.wants():
		c.holdFor(leastIdle, mostIdleHold)
	}
}

// holdFor lets what waits go after a time, or sooner if that was said before. c.mu is held.
func (c *Carrier) holdFor(least, most time.Duration) {
	o, now := c.opening, time.Now()
	if !o.until.IsZero() && o.until.Before(now.Add(most)) {
		return
	}
	within := time.Duration(between(rand.Float64(), float64(least), float64(most)))
	until := now.Add(within)
	o.hold.Stop()
	o.until, o.hold = until, c.set.tasks.AfterFunc(within, func() { c.letGo(until) })
}

// due is told that the time of a message has come: that of this turn, and no other, as a timer that waits for c.mu can no
// longer be stopped.
func (c *Carrier) due(turn int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opening == nil || turn != c.opening.mine+1 {
		return
	}
	c.opening.next = tasks.Timer{} // a client that says no more would keep it
	c.queue.due, c.queue.shut = true, false
	c.kick()
}

// letGo is told that what waits has waited long enough, if it was to wait until then.
func (c *Carrier) letGo(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opening == nil || !until.Equal(c.opening.until) {
		return
	}
	c.opening.hold = tasks.Timer{}
	if c.opening.until = (time.Time{}); c.queue.wants() {
		c.queue.shut = false
		c.kick()
	}
}

// Times that programs and people take.
const (
	leastNext, mostNext = 300 * time.Microsecond, 30 * time.Millisecond // to answer, to say something more, or the first word
	// leastPause is the least that the shortest of seven pauses takes, which a person makes, or whoever waits for another's
	// message. A pause takes up to twice its least, where the next one begins.
	leastPause = 60 * time.Millisecond
	// leastFirstWord and mostFirstWord are what a page takes for its first word once its socket is open: a browser is busy then.
	leastFirstWord, mostFirstWord = 2 * time.Millisecond, 80 * time.Millisecond
	// atOnceUp and atOnceDown of 100 messages go together with the one before.
	atOnceUp, atOnceDown = 15, 28
)

// takes is how long this end takes to say what a step has. c.mu is held.
func (c *Carrier) takes(s step, goesOn bool) time.Duration {
	atOnce := atOnceDown
	if c.set.asks {
		atOnce = atOnceUp
	}
	least, most := leastNext, mostNext
	pause := s &^ stepDown / stepPause
	switch {
	case pause > 0 && c.opening.mine+c.opening.came > 0:
		least = leastPause << (pause - 1)
		most = 2 * least
	case goesOn && rand.IntN(100) < atOnce:
		return 0
	case c.set.asks && c.opening.mine == 0:
		least, most = leastFirstWord, mostFirstWord
	}
	return time.Duration(between(rand.Float64(), float64(least), float64(most)))
}

// beginStep says how long the message should be that is made now; 0: as it is. One that is too short for what waits, and
// for which nobody waits, says nothing.
func (c *Carrier) beginStep() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opening == nil {
		return 0
	}
	s, _, _, ok := c.opening.own(c.set.asks)
	if !ok {
		c.endOpening()
		return 0
	}
	waiting := c.queue.waiting()
	if waiting > mostWaiting {
		c.endOpening()
		return 0
	}
	size := max(int(s&stepSize), leastFilled)
	isShort := waiting > 0 && size < min(waiting+recordMore, leastPlayed)
	if c.fills = isShort && c.queue.due && !c.queue.isUrgent(); c.fills {
		return size
	}
	if isShort {
		size = min(waiting+recordMore, leastPlayed)
	}
	if all := waiting + recordMore; all > size && all < max(size*3/2, mostWhole) {
		size = all
	}
	return size
}

// endStep notes that a message goes, or that there was nothing to say, not even to fill one.
func (c *Carrier) endStep(goes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.opening
	switch {
	case o == nil:
		return
	case !goes:
		c.endOpening()
		return
	}
	o.mine++
	o.next.Stop()
	o.hold.Stop()
	o.until = time.Time{}
	c.queue.due, c.queue.shut = false, true
	c.arm(leastRest)
}

// hearStep notes that a message has come.
func (c *Carrier) hearStep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opening != nil {
		c.opening.came++
		c.arm(leastHold)
	}
}

// SkipOpening has all go as it is from now on: what waits would come too late for whoever is about to end.
func (c *Carrier) SkipOpening() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endOpening()
}

// endOpening has all go as it is from now on. c.mu is held.
func (c *Carrier) endOpening() {
	c.dropOpening()
	c.plays.Store(false)
	if c.queue.shut || c.queue.due {
		c.queue.shut, c.queue.due = false, false
		c.kick()
	}
}

// dropOpening stops what is to come of it. c.mu is held.
func (c *Carrier) dropOpening() {
	if o := c.opening; o != nil {
		o.next.Stop()
		o.hold.Stop()
		c.opening = nil
	}
}

// fillWith is how many bytes fill a message that lacks so many.
func (c *Carrier) fillWith(lacks int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.opening
	if o == nil {
		return 0
	}
	most := o.left
	if c.set.asks {
		most /= partUp
	}
	n := max(min(lacks, most), 0)
	if c.isSlow() {
		n, o.left = 0, 0
	}
	if o.left -= n; o.left < leastFills {
		c.endOpening()
	}
	return n
}

// appendStep fills what is said without a record up to size.
func (c *Carrier) appendStep(b []byte, size int) []byte {
	n := c.fillWith(min(size-len(b), mostPlain))
	for n >= leastFilled {
		fill := min(n-leastFilled, session.MaxFill)
		n -= leastFilled + fill
		b = session.AppendFill(b, fill)
		if !c.set.asks {
			c.mu.Lock()
			c.path.spend(fill)
			c.mu.Unlock()
		}
	}
	return b
}

// appendPads fills a record of frames up to size, which begin bytes go before.
func (c *Carrier) appendPads(frames []byte, size int) []byte {
	for range c.fillWith(size - len(frames) - wire.RecordOverhead) {
		frames = append(frames, byte(wire.Pad))
	}
	return frames
}
