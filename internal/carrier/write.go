package carrier

import (
	"iter"
	"slices"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

const (
	// smallTurn is what passes ahead of bulk: chat, handshakes and frames without bytes.
	smallTurn = transport.SmallFrame
	// leastRecord is the size of the first records. That of others is up to half of what
	// the peer has received by this carrier: a path that passes so little as to freeze
	// passes some of them. What bulk's may have more than that the path's pace says.
	leastRecord = 4 << 10
	// messageHead is what a WebSocket message begins with, at most.
	messageHead = 8
	// fullMessage is the most that a message of bulk has: with the heads and tags of four TLS records it fits the
	// largest TCP segment of a loopback interface, where edges and origins meet, over IPv4 or IPv6. A byte more would
	// be a segment of its own there, and wake the reader twice for each message.
	fullMessage = 64<<10 - 256
	// FullData is how many bytes of one stream fill a message of bulk beside an ack and the like, so that none are left
	// over for a message of their own.
	FullData = fullMessage - messageHead - wire.RecordHead - wire.RecordOverhead - wire.DataHead - 64
	// receivedEvery and mostUnreported say how many bytes come between two Received frames.
	receivedEvery  = 4 << 10
	mostUnreported = 256 << 10
	receivedWithin = 25 * time.Millisecond
	// littleCame is what is too little for anybody to wait until it is counted: its count goes later, by chance.
	littleCame = 2 << 10
)

// outbound is what the writer knows of the path. Carrier.mu guards it.
type outbound struct {
	confirmed uint64 // bytes that the peer has said came
	sent      uint64 // bytes of records
	at        int64  // when some went last, Unix ns
	composing bool   // a message is being made that sent does not count yet
}

// write is a goroutine that writes until there is nothing to write.
func (c *Carrier) write() {
	for more := true; more; more = c.goesOn() {
		if err := c.writeNext(); err != nil {
			c.CloseFor(causeOf(err))
		}
	}
}

// writeFor writes for s until its frames have gone, and with them the small ones of
// others. It leaves what is left then, and the bulk of others, to a goroutine: s has more
// to read. The caller has made the queue run.
func (c *Carrier) writeFor(s *Slot) {
	for {
		if err := c.writeNext(); err != nil {
			c.CloseFor(causeOf(err))
		}
		c.mu.Lock()
		q := &c.queue
		mine := s.bulk && len(q.bulk) == 1 || s.small && len(q.bulk) == 0
		switch {
		case q.dead || !q.mayWrite():
			q.running = false
		case !mine:
			q.running = c.set.tasks.Brief(c.writer)
		default:
			c.mu.Unlock()
			continue
		}
		c.mu.Unlock()
		return
	}
}

func (c *Carrier) writeNext() error {
	if c.profile.Messages {
		return c.writeMessage()
	}
	if c.size = 0; c.plays.Load() {
		c.size = c.beginStep()
	}
	b, record, turn, err := c.compose(transport.GetFull()[:0], wire.MaxMessage)
	defer transport.PutBuffer(b)
	if err != nil {
		return err
	}
	c.writing(record, record, turn)
	if c.plays.Load() {
		c.endStep(len(b) > 0)
	}
	if len(b) == 0 {
		return nil
	}
	return c.transport.WriteMessage(b)
}

// compose makes a message of the stream door: what the session has to say, and a record
// if there is something for one, whose length without its head it returns. It is most bytes at
// most. b is a full buffer.
func (c *Carrier) compose(b []byte, most int) (message []byte, record int, t told, err error) {
	turns := c.turns.Load()
	b, may := c.head(b)
	switch {
	case c.size > 0 && (c.fills || !may):
		return c.appendStep(b, c.size), 0, told{}, nil
	case !may:
		return b, 0, told{}, nil
	}
	begin := len(b)
	full := append(b, 0, 0) // the record's length
	room := min(most, wire.MaxRecord) - len(full) - wire.RecordOverhead
	room = min(room, c.recordRoom(begin))
	if room < leastFill { // the budget is spent
		return b, 0, told{}, nil
	}
	frames, t := c.frames(full, room, c.isEarly())
	c.loseAfter(turns)
	switch {
	case c.size > 0 && len(frames) == len(full) && c.size <= len(full)+wire.RecordOverhead:
		return c.appendStep(b, c.size), 0, told{}, nil
	case c.size > 0:
		frames = c.appendPads(frames, c.size)
	case len(frames) > len(full) || begin > 0 && c.shape.isOpening():
		frames = c.appendPad(frames, len(full), room, t)
	}
	if len(frames) == len(full) {
		return b, 0, told{}, nil
	}
	sealed, err := c.party.Seal(frames[begin:])
	return frames[:begin+len(sealed)], len(sealed) - wire.RecordHead, t, err
}

// head asks the session what it must say, and whether a record may follow.
func (c *Carrier) head(b []byte) (_ []byte, may bool) {
	c.mu.Lock()
	c.queue.speak = false
	c.mu.Unlock()
	b, may = c.party.Head(b, time.Now())
	c.mu.Lock()
	c.queue.held = !may && !c.queue.speak // it may have been let go meanwhile
	c.out.composing = may
	c.mu.Unlock()
	return b, may
}

// isEarly reports, and notes, that what is written may hold Open frames alone.
func (c *Carrier) isEarly() bool {
	early := c.set.asks && c.party.Early()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.early = early && !c.live.Load()
	return early
}

// told is what is in a record.
type told struct {
	bulk  bool
	holds bool // bytes of a stream, or its end
	asks  bool // the peer answers at once
	early bool // it begins tunnels before the peer has proved itself
}

// stepRoom is how many of room bytes of frames a record may hold that has own ones already, which begin bytes go before: in an
// opening as many as make a message of its size, but enough for one sender, who has waited for this turn.
func (c *Carrier) stepRoom(room, begin, own int) int {
	if c.size == 0 {
		return room
	}
	return min(room, max(c.size-begin-wire.RecordOverhead, own+leastFill))
}

// frames appends up to room bytes of frames: small ones of many, or bulk of one.
func (c *Carrier) frames(b []byte, room int, early bool) (_ []byte, t told) {
	begin := len(b)
	if !early {
		own := c.stepRoom(room, begin, 0)
		b = c.appendFronts(c.ownFrames(b, own, true), begin, own)
		c.mu.Lock()
		t.asks, c.queue.asks = c.queue.asks, false
		c.mu.Unlock()
	}
	room = c.stepRoom(room, begin, len(b)-begin)
	if s, most := c.bulkTurn(); s != nil {
		before := len(b)
		b = c.fill(b, s, Turn{Room: min(room-(len(b)-begin), most), Bulk: true, Early: early})
		t.bulk = holdsStream(b[before:])
		t.holds = t.holds || t.bulk
		t.asks = t.asks || t.bulk
		return b, t
	}
	limit := min(room, maxBatch)
	for {
		left := limit - (len(b) - begin)
		if left < leastFill { // who waits keeps the place in the queue: an Open that comes late may be taken for an old one
			return b, t
		}
		s := c.smallTurn()
		if s == nil {
			return b, t
		}
		before := len(b)
		b = c.fill(b, s, Turn{Room: left, Early: early})
		holds := holdsStream(b[before:])
		t.holds = t.holds || holds
		t.asks, t.early = t.asks || holds && !early, t.early || holds && early
	}
}

// holdsStream reports whether there are bytes of a stream, or its end, among frames: the peer says
// that it has them, and says so of no others.
func holdsStream(b []byte) bool {
	for f := range eachFrame(b) {
		if f.Kind == wire.Open || f.Kind == wire.Data || f.Kind == wire.Fin {
			return true
		}
	}
	return false
}

// eachFrame goes through the frames in b, up to what is none.
func eachFrame(b []byte) iter.Seq[wire.Frame] {
	return func(yield func(wire.Frame) bool) {
		for len(b) > 0 {
			f, more, err := wire.NextFrame(b)
			if err != nil || !yield(f) {
				return
			}
			b = more
		}
	}
}

// fill asks s for its frames.
func (c *Carrier) fill(b []byte, s *Slot, t Turn) []byte {
	if t.Early {
		return c.fillEarly(b, s, t)
	}
	b, more := s.sender.Fill(b, t)
	if more > 0 {
		s.ask(more, true) // what did not fit goes as bulk, however little it is
	}
	return b
}

// fillEarly asks s for an Open frame, unless early records hold as many as they may. Whatever else s has to say has its turn
// with release.
func (c *Carrier) fillEarly(b []byte, s *Slot, t Turn) []byte {
	c.mu.Lock()
	s.waits = true
	c.mu.Unlock()
	if c.opened == wire.MaxEarlyOpens {
		return b
	}
	begin := len(b)
	b, more := s.sender.Fill(b, t)
	if len(b) > begin {
		c.opened++
	}
	c.mu.Lock()
	s.pending = more
	c.mu.Unlock()
	return b
}

// bulkTurn is the slot whose turn of bulk it is, and the most that it may say; nil if it is
// the turn of none.
func (c *Carrier) bulkTurn() (s *Slot, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queue.wantsBulk() {
		most = c.mayFly()
		c.queue.paced = most == 0
	}
	if most == 0 {
		c.queue.streak++
		return nil, 0
	}
	c.queue.streak = 0
	record := c.out.most()
	if !c.profile.Paid { // a message more is one more to pay for
		record -= cut(record)
	}
	return c.queue.nextBulk(), max(min(most, record)-messageHead-wire.RecordOverhead, leastFill)
}

// smallTurn is the slot whose turn of small frames it is; nil if there is none.
func (c *Carrier) smallTurn() *Slot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.nextSmall()
}

// recordRoom is how many bytes of frames any record may hold whose message has begin bytes
// already.
func (c *Carrier) recordRoom(begin int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := max(c.out.most()-messageHead-wire.RecordOverhead-begin, leastRecord/2)
	if c.set.asks {
		return room
	}
	return min(room, c.path.left()-wire.RecordOverhead)
}

// most is the size that no message exceeds.
func (o *outbound) most() int {
	return int(min(max(leastRecord, o.confirmed/2), fullMessage))
}

// writing counts a record of n bytes that is about to go, which counts as size of a budget.
func (c *Carrier) writing(n, size int, t told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.composing = false; size == 0 {
		return
	}
	c.out.sent += uint64(n)
	if !c.set.asks {
		c.spend(size)
	}
	now := time.Now()
	c.noteRest(now)
	c.in.awaited = c.in.awaited || t.holds
	switch {
	case t.asks:
		c.owe(now)
	case t.early: // nobody waits for the answer, which tells that it came nonetheless
		c.doubt.upto = c.out.sent
	}
	c.out.at = now.UnixNano()
	if c.path.lane != nil {
		c.path.lane.Sent(now, n, t.bulk)
	}
}

// spend counts a record of an origin's. What does not go any more goes by others. c.mu is held.
func (c *Carrier) spend(n int) {
	c.path.spend(n)
	if c.path.isSpent() {
		c.tellSpent()
	}
}

// tellSpent has nothing more go, once. c.mu is held.
func (c *Carrier) tellSpent() {
	if c.queue.spent {
		return
	}
	c.queue.spent = true
	all := slices.Clone(c.senders.list())
	c.set.tasks.Go(func() {
		for _, s := range all {
			s.sender.Spent()
		}
	})
}

// ownFrames appends the frames that are no sender's. mayRenew says that the session may
// be agreed on again.
func (c *Carrier) ownFrames(b []byte, room int, mayRenew bool) []byte {
	if mayRenew && c.live.Load() {
		b = c.appendWord(c.appendAgain(b))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := wholeFrames(c.queue.control, min(room/2, maxBatch))
	b = append(b, c.queue.control[:n]...)
	if c.queue.control = c.queue.control[n:]; len(c.queue.control) == 0 {
		c.queue.control = nil
	}
	return c.in.appendReceived(b)
}

// appendFronts appends a list of fronts that waits if there is room for it among the room bytes of a
// record's frames, which begin at begin, and if there are others.
func (c *Carrier) appendFronts(b []byte, begin, room int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) == begin {
		return b
	}
	return c.lists.append(b, room-(len(b)-begin))
}

// appendAgain has the session agreed on again when it is time to, and there is something
// to send.
func (c *Carrier) appendAgain(b []byte) []byte {
	if body, ok := c.party.Renew(time.Now()); ok {
		f := wire.Frame{Kind: wire.Again, Body: body}
		return f.Append(b)
	}
	return b
}

// appendWord has the session go on to what TLS alone seals, if it is time to.
func (c *Carrier) appendWord(b []byte) []byte {
	if f, ok := c.party.Word(); ok {
		return f.Append(b)
	}
	return b
}

// wholeFrames is how many of b's bytes are frames that fit into limit together.
func wholeFrames(b []byte, limit int) int {
	if len(b) <= limit {
		return len(b)
	}
	n := 0
	for rest := b; ; {
		_, more, err := wire.NextFrame(rest)
		if err != nil || len(b)-len(more) > limit {
			return n
		}
		n, rest = len(b)-len(more), more
	}
}

// Put queues a frame that is no sender's and sees to it that it is sent. It never waits:
// readers of carriers call it. f is small.
func (c *Carrier) Put(f wire.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return
	}
	if len(c.queue.control) > maxControl { // what is lost on a living carrier stalls its tunnel
		c.set.tasks.Go(func() { c.CloseFor(Stuck) })
		return
	}
	c.queue.control = f.Append(c.queue.control)
	c.queue.asks = c.queue.asks || f.Kind == wire.Ping
	c.kick()
}

// speak has the session say what it has to, and lets records go if it allows them now.
func (c *Carrier) speak() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.speak, c.queue.held = true, false
	c.kick()
}

// release lets records go that waited for the peer.
func (c *Carrier) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.speak, c.queue.held, c.queue.early = true, false, false
	for _, s := range c.senders.list() {
		if s.waits {
			s.waits = false
			c.queue.add(s, s.pending, s.pending > 0)
		}
	}
	c.kick()
}
