package carrier

import (
	"time"

	"culvert/internal/pace"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// path is what the carrier shares with others that take the same way to the peer.
// Carrier.mu guards it.
type path struct {
	number byte         // as the client counts them
	half   bool         // client: half of the budget is spent, and the handler was told
	texts  bool         // records are text messages
	window *pace.Window // nil: the handler's, by number
	lane   *pace.Lane   // nil: nothing has gone yet that is counted on the path
	budget uint64       // bytes that the origin may send, as wire.BudgetHead says; 0: any
	spent  uint64       // of those
	turn   tasks.Timer  // until bulk is asked for again, as its turn has not come; zero: that was never so
}

// leastLeft is what is left of a budget that is too little for a record.
const leastLeft = wire.BudgetHead + wire.RecordOverhead + leastFill

// nearlySpent is what is left of a budget at the latest when a successor is dialled: an answer of chat's
// may take as much at once.
const nearlySpent = 8 << 10

// left is what a record may take of the budget.
func (p *path) left() int {
	if p.budget == 0 {
		return wire.MaxRecord
	}
	return int(p.budget - min(p.spent+wire.BudgetHead, p.budget))
}

// body is how many bytes a message of the gateway door may have.
func (p *path) body() int {
	if p.budget == 0 {
		return wire.MaxTextBody
	}
	return min(wire.BudgetedBody(int(p.budget-min(p.spent, p.budget))), wire.MaxTextBody)
}

// isSpent reports whether no record may go any more.
func (p *path) isSpent() bool {
	switch {
	case p.budget == 0:
		return false
	case p.texts:
		return p.body() < leastBody
	}
	return p.spent+leastLeft > p.budget
}

// isLast reports whether nothing goes any more after a message whose body has n bytes.
func (p *path) isLast(n int) bool {
	after := *p
	after.spend(n)
	return !p.isSpent() && after.isSpent()
}

// leastBody is what is left of a budget that is too little for a message.
const leastBody = numberLen + plainTurn + leastFill + echoLen + wire.RecordOverhead

// spend counts a record, or the body of a message.
func (p *path) spend(n int) {
	if p.texts {
		p.spent += uint64(wire.MessageBudget(n))
	} else {
		p.spent += uint64(n) + wire.BudgetHead
	}
}

// Follow tells a client's carrier which path it takes, what may be in flight there, and how much
// it may bring, 0 for any. The peer is told.
func (c *Carrier) Follow(number byte, w *pace.Window, budget uint32) {
	c.mu.Lock()
	c.path.number, c.path.window, c.path.budget = number, w, uint64(budget)
	c.mu.Unlock()
	c.sayPath()
}

// sayPath tells the peer what Follow was told, if that is anything.
func (c *Carrier) sayPath() {
	c.mu.Lock()
	number, budget := c.path.number, c.path.budget
	c.mu.Unlock()
	if c.set.asks && (number != 0 || budget != 0) {
		c.Put(wire.Frame{Kind: wire.Path, Code: number, Num: uint32(budget)})
	}
}

// takePath is told by a client which path the carrier takes, and how much it may bring.
func (c *Carrier) takePath(number byte, budget uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path.lane == nil {
		c.path.number = number
	}
	if c.path.budget = uint64(budget); budget > 0 {
		c.endOpening()
	}
	c.queue.spent = c.path.isSpent()
	c.sayLimit()
	c.kick()
}

// AllCame reports whether the peer has said that all bytes of streams came that it was sent by this
// carrier: its death loses none. Messages may overtake one another, so that there all bytes have to.
func (c *Carrier) AllCame() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	upto := c.doubt.upto
	if c.profile.Messages {
		upto = c.out.sent
	}
	return c.live.Load() && !c.out.composing && c.out.confirmed >= upto
}

// TellCame has the peer of a client be told now what has come by the carrier, and reports whether that is done: where messages
// are paid for it goes with others.
func (c *Carrier) TellCame() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.profile.Paid || c.dead.Load() {
		return false
	}
	c.queue.control = c.in.appendReceived(c.queue.control)
	c.kick()
	return true
}

// Tells reports whether what TellCame had the peer be told is still to go, or on its way to the network.
func (c *Carrier) Tells() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.running || len(c.queue.control) > 0
}

// EdgeAnswers waits for the edge of a carrier of the gateway door, which has passed on by then what it got before, and
// reports whether it answers within that.
func (c *Carrier) EdgeAnswers(within time.Duration) bool {
	answer := make(chan error, 1)
	if !c.profile.AsksEdge || !c.set.tasks.Go(func() { answer <- c.transport.Probe() }) {
		return false
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-answer:
		return err == nil
	case <-timer.C:
		return false
	}
}

// Brought is how many bytes have come by a client's carrier, as a budget counts them.
func (c *Carrier) Brought() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.spent
}

// Passed is how many bytes of records have come by the carrier, here and to the peer, as it says.
func (c *Carrier) Passed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.in.bytes + c.out.confirmed
}

// Spent reports whether the carrier brings nothing any more, as its budget is spent.
func (c *Carrier) Spent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.isSpent()
}

// HalfSpent reports whether half of the budget of a client's carrier is spent.
func (c *Carrier) HalfSpent() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.half
}

// Budget is how much of a client's carrier's budget is spent, of how much; 0 if it has none.
func (c *Carrier) Budget() (spent, all uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path.budget == 0 {
		return 0, 0
	}
	return c.path.spent, c.path.budget
}

// Budgeted reports whether the carrier may bring so many bytes and no more.
func (c *Carrier) Budgeted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.path.budget > 0
}

// bring counts a record that has come to a client. The handler is to be told when half of the budget
// is spent, and once more when all is.
func (p *path) bring(n int) (tell bool) {
	before := p.isSpent()
	p.spend(n)
	return p.tells(before)
}

// bringPong counts an answer of the edge's, which comes beside what the origin counts.
func (p *path) bringPong() (tell bool) {
	before := p.isSpent()
	p.spent += wire.BudgetHead
	return p.tells(before)
}

// tells reports, and notes, that the handler is to be told; before says that all was spent.
func (p *path) tells(before bool) bool {
	half := p.budget > 0 && !p.half && (p.spent >= p.budget/2 || p.budget-p.spent < nearlySpent)
	p.half = p.half || half
	return half || !before && p.isSpent()
}

// mayFly is how many bytes of bulk may go now; 0 if the path has room for none, and then it
// is asked again when there may be some. c.mu is held.
func (c *Carrier) mayFly() int {
	if c.dead.Load() { // its lane was closed, or would never be
		return 0
	}
	c.makeLane()
	now := time.Now()
	if wait := c.path.lane.Turn(now); wait > 0 {
		c.fliesIn(wait)
		return 0
	}
	return c.path.lane.Room(now)
}

// fliesIn has flies called in time. c.mu is held.
func (c *Carrier) fliesIn(wait time.Duration) {
	if t := &c.path.turn; t.IsZero() {
		*t = c.set.tasks.AfterFunc(wait, c.flies)
	} else {
		t.Reset(wait)
	}
}

// makeLane has what goes be counted on its path, if it is not yet. c.mu is held.
func (c *Carrier) makeLane() {
	if c.path.lane != nil {
		return
	}
	if c.path.window == nil {
		c.path.window = c.Handler().Window(c.path.number, c.RTT())
	}
	if c.profile.Messages {
		c.path.lane = c.path.window.NewMessageLane(c.out.sent, wire.MaxTextBody, c.doubted.Load(), c.flies)
	} else {
		c.path.lane = c.path.window.NewLane(c.out.sent, c.doubted.Load(), c.flies)
		if c.path.budget > 0 {
			c.path.lane.Brief()
		}
	}
	c.sayLimit()
}

// sayLimit has an origin's lane know that a budget says how much it passes. c.mu is held.
func (c *Carrier) sayLimit() {
	if c.path.lane != nil && c.path.budget > 0 && !c.set.asks {
		c.path.lane.Limit()
	}
}

// Talk is told by a sender whose bytes somebody waits for that some go. Where messages are paid for, those of bulk
// are short while any do.
func (c *Carrier) Talk() {
	if !c.profile.Messages {
		return
	}
	c.mu.Lock()
	w := c.path.window
	c.mu.Unlock()
	if w != nil {
		w.Talk(time.Now())
	}
}

// answered is told that the peer has said, where messages are paid for, what had come when it was asked. The
// Received that comes with that has the path's others go on.
func (c *Carrier) answered() {
	c.mu.Lock()
	lane := c.path.lane
	c.mu.Unlock()
	if lane != nil {
		lane.Answered()
	}
}

// flies is told that the path may have room.
func (c *Carrier) flies() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.paced = false
	c.kick()
}
