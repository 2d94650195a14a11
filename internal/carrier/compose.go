package carrier

import "culvert/internal/wire"

// composed is what a message of the gateway door holds.
type composed struct {
	lazy    bool // nothing that needs an answer
	answers bool // frames of which the peer says with what it sends next that they came
	asks    bool // a Ping that has it say so at once
	replies bool // what the peer waits for, who asks if it does not come
}

// messageFrames appends the frames of a message.
func (c *Carrier) messageFrames(b []byte, early bool) (_ []byte, t composed) {
	begin := len(b)
	limit := wire.MaxTextBody
	c.mu.Lock()
	if !c.set.asks {
		limit = c.path.body()
	}
	if c.beginLane(); c.path.lane != nil {
		limit = min(limit, begin+c.path.lane.Careful(limit))
	}
	if limit -= wire.RecordOverhead + echoLen; limit < begin+leastFill {
		if c.path.isSpent() { // else what the session says first takes what is left
			c.tellSpent()
		}
		c.mu.Unlock()
		return b, composed{lazy: true}
	}
	if c.profile.Paid { // a message goes anyway
		c.queueAcks()
	}
	t.lazy = c.isLazy()
	keeps := c.queue.keeps()
	c.queue.asks = c.queue.asks && early // a Ping waits on then
	c.mu.Unlock()
	if !early {
		b = c.messages.appendGot(b)
		b = c.appendFronts(c.ownFrames(b, limit-begin, !keeps), begin, limit-begin)
	}
	own := len(b)
	b = c.smallFrames(b, limit, early)
	small := len(b)
	b = c.bulkFrames(b, limit, early, holdsStream(b[own:small]) || c.replies(b[begin:own]))
	if early {
		return b, t
	}
	var opens bool
	if t.answers, opens = isAnswered(b[begin:]); t.answers {
		b, t.asks = c.appendAsk(b, begin, small, opens)
	}
	return b, t
}

// smallFrames appends small frames of all that have some, while there is room below limit.
func (c *Carrier) smallFrames(b []byte, limit int, early bool) []byte {
	for limit-len(b) >= leastFill {
		s := c.smallTurn()
		if s == nil {
			return b
		}
		b = c.fill(b, s, Turn{Room: limit - len(b), Early: early})
	}
	return b
}

// bulkFrames appends bulk as far as the path has room for it, but none behind what somebody waits for where it
// would hold that back on a path that is slow. Acks and the like ride with it: a message of their own would be
// paid for.
func (c *Carrier) bulkFrames(b []byte, limit int, early, isBehind bool) []byte {
	if !early {
		limit = c.paced(len(b), limit, isBehind)
	}
	for limit-len(b) >= leastFill {
		c.mu.Lock()
		s := c.queue.nextBulk()
		c.mu.Unlock()
		if s == nil {
			return b
		}
		b = c.fill(b, s, Turn{Room: limit - len(b), Bulk: true, Early: early})
	}
	return b
}

// leastWhole is the least room for bulk beside which small frames are not held back by it: what
// one part of a message holds, by which it is paid.
const leastWhole = wire.MaxTextPart * 3 / 4

// paced is limit, or what a message of begun bytes may grow to where its path passes less. A message
// of parts is whole parts.
func (c *Carrier) paced(begun, limit int, isBehind bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue.bulk) == 0 {
		return limit
	}
	most := c.mayFly()
	if c.queue.paced = most == 0; c.queue.paced {
		c.askLate()
		return 0
	}
	if w := c.path.window; isBehind && w.Rate() > 0 && w.Message(leastWhole) < leastWhole {
		return 0
	}
	const more = wire.RecordOverhead + echoLen
	limit = min(limit, begun+most)
	if whole := wire.WholeParts(limit+more) - more; limit < wire.MaxTextBody-more && whole > begun+leastFill {
		return whole
	}
	return limit
}

// askLate has a message go that asks what has come, as bulk waits for that and nothing on its way
// asks. c.mu is held.
func (c *Carrier) askLate() {
	if c.path.lane != nil && c.path.lane.Asks(0) {
		c.askPace()
	}
}

// appendAsk has a message that begins at begin, and has bulk from small on, ask what has come if it is time to, as
// has the last of an origin's budget. One that opens a tunnel is answered anyway. It reports whether one asks: it
// may have before.
func (c *Carrier) appendAsk(b []byte, begin, small int, opens bool) (_ []byte, asks bool) {
	asked := asksPace(b[begin:small])
	c.mu.Lock()
	defer c.mu.Unlock()
	switch n := len(b) - begin; {
	case c.path.lane == nil:
		return b, asked
	case opens, asked:
		c.path.lane.Asked(n)
		return b, asked
	case !c.set.asks && c.path.isLast(len(b)+wire.RecordOverhead+echoLen):
		c.path.lane.Asked(n)
	case len(b) == small || !c.path.lane.Asks(n):
		return b, false
	}
	f := wire.Frame{Kind: wire.Ping, Pos: paceMark}
	return f.Append(b), true
}

// isAnswered reports whether the peer will say that it has what is among frames, and whether it does so
// soon as a tunnel opens.
func isAnswered(b []byte) (is, opens bool) {
	for f := range eachFrame(b) {
		switch f.Kind {
		case wire.Open:
			return true, true
		case wire.Data, wire.Fin, wire.Ping, wire.Pong:
			is = true
		}
	}
	return is, false
}

// fillsMessage reports whether bulk waits for nothing more to fill a message. c.mu is held.
func (c *Carrier) fillsMessage() bool {
	bytes, most := 0, wire.MaxTextBody
	for _, s := range c.queue.bulk {
		bytes += s.pending
	}
	if w := c.path.window; w != nil {
		most = w.Message(wire.MaxTextBody)
	}
	return bytes >= most
}

// beginLane has what goes by a carrier of the gateway door be counted from its first message on: the
// small ones show how long the path is. c.mu is held.
func (c *Carrier) beginLane() {
	if c.path.lane != nil || c.dead.Load() || c.path.window == nil && c.Handler() == nil {
		return
	}
	c.makeLane()
}
