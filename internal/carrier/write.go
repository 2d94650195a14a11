package carrier

import (
	"slices"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

const (
	// maxBatch bounds a message of several small frames.
	maxBatch = 16 << 10
	// maxStreak small messages pass before bulk gets a turn.
	maxStreak = 8
	// maxControl bounds acks and resets that wait for a transport that is stuck.
	maxControl = 1 << 20
	// A Data frame starts at firstChunk and grows while writing one takes less
	// than fastWrite; it shrinks when writing takes longer than slowWrite, so
	// that chat never waits long behind a frame.
	firstChunk = 16<<10 - wire.HeaderLen - wire.Overhead - 8
	fastWrite  = 10 * time.Millisecond
	slowWrite  = 200 * time.Millisecond
	// largerBy keeps doubled chunks a multiple of TLS records, frame and all.
	largerBy = wire.HeaderLen + wire.Overhead + 8
)

// writeQueue is who waits to write, and what. Carrier.mu guards it.
type writeQueue struct {
	busy    bool // somebody writes
	small   []*writeWaiter
	large   []*writeWaiter
	streak  int    // messages of small frames since the last of bulk
	control []byte // frames without payload, to go with the next message
}

// writeWaiter is a goroutine's wait to write its frame.
type writeWaiter struct {
	sender Sender
	frame  *Frame
	ready  chan verdict
}

type verdict int

const (
	written verdict = iota // another goroutine wrote it
	yours                  // the carrier is free: write
	failed                 // the carrier is dead
)

// fail has all who wait learn that the carrier is dead.
func (q *writeQueue) fail() {
	for _, w := range slices.Concat(q.small, q.large) {
		w.ready <- failed
	}
	q.small, q.large, q.control = nil, nil, nil
}

// Send writes f, which is s's, or waits until another goroutine has. f.Writing
// must count the caller. An error is ErrDead or what the transport said; f is then
// still to be sent.
func (c *Carrier) Send(s Sender, f *Frame) error {
	c.mu.Lock()
	if c.dead.Load() {
		c.mu.Unlock()
		return ErrDead
	}
	if c.queue.busy {
		w := c.enqueue(s, f)
		c.mu.Unlock()
		v := <-w.ready
		w.sender, w.frame = nil, nil
		c.set.waiters.Put(w)
		switch v {
		case written:
			return nil
		case failed:
			return ErrDead
		}
		c.mu.Lock()
	}
	c.queue.busy = true
	return c.writeAndPass(s, f)
}

func (c *Carrier) enqueue(s Sender, f *Frame) *writeWaiter {
	w, _ := c.set.waiters.Get().(*writeWaiter)
	if w == nil {
		w = &writeWaiter{ready: make(chan verdict, 1)}
	}
	w.sender, w.frame = s, f
	if f.isBulk() {
		c.queue.large = append(c.queue.large, w)
	} else {
		c.queue.small = append(c.queue.small, w)
	}
	return w
}

// writeAndPass writes the caller's frame (none if f is nil) and whatever small
// frames can ride with it, then makes the next one the writer. c.mu is held at
// the call and not at the return; the caller is the writer.
func (c *Carrier) writeAndPass(s Sender, f *Frame) error {
	control := c.queue.control
	c.queue.control = nil
	var coalesced []*writeWaiter
	if f == nil || !f.isBulk() {
		coalesced = c.queue.coalesce(f)
		c.queue.streak++
	} else {
		c.queue.streak = 0
	}
	c.mu.Unlock()

	err, outcome := c.write(control, s, f, coalesced), written
	if err != nil {
		outcome = failed
		c.Close()
	}
	c.mu.Lock()
	for _, w := range coalesced {
		w.ready <- outcome
	}
	c.pass()
	c.mu.Unlock()
	return err
}

// coalesce removes from the queue the small frames that fit into a message
// beside f.
func (q *writeQueue) coalesce(f *Frame) []*writeWaiter {
	size := 0
	if f != nil {
		size = len(f.Buf)
	}
	n := 0
	for ; n < len(q.small); n++ {
		if size += len(q.small[n].frame.Buf); size > maxBatch {
			break
		}
	}
	coalesced := q.small[:n:n]
	q.small = q.small[n:]
	if len(q.small) == 0 {
		q.small = nil
	}
	return coalesced
}

// pass makes the next in the queues the writer. c.mu is held.
func (c *Carrier) pass() {
	q := &c.queue
	switch {
	case c.dead.Load():
		q.fail()
	case len(q.small) > 0 && (q.streak < maxStreak || len(q.large) == 0):
		q.small[0].ready <- yours
		q.small = q.small[1:]
	case len(q.large) > 0:
		q.large[0].ready <- yours
		q.large = q.large[1:]
	case len(q.control) > 0:
		c.set.tasks.Go(c.flushing)
	default:
		q.busy = false
		q.small, q.large = nil, nil
	}
}

// flush writes control frames; the caller made the carrier busy for it.
func (c *Carrier) flush() {
	c.mu.Lock()
	c.writeAndPass(nil, nil)
}

// PutControl queues a frame without payload and sees to it that it is sent.
// It never waits: readers of carriers call it.
func (c *Carrier) PutControl(h wire.Header) {
	var b [wire.HeaderLen]byte
	wire.Put(b[:], h)
	c.PutFrame(b[:])
}

// PutFrame is PutControl for whole frames that are made already and small.
func (c *Carrier) PutFrame(b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return
	}
	if len(c.queue.control) > maxControl { // an ack that is lost on a living carrier stalls its tunnel
		c.set.tasks.Go(c.Close)
		return
	}
	c.queue.control = append(c.queue.control, b...)
	if !c.queue.busy {
		c.queue.busy = true
		c.set.tasks.Go(c.flushing)
	}
}

// ackSchedule is the senders whose acks are due, and when. Carrier.mu guards it.
type ackSchedule struct {
	due   []Sender
	timer tasks.Timer // until the acks that are due are sent; zero: none is
	soon  bool        // within the profile's AckSoon
}

// stop forgets the acks that are due.
func (a *ackSchedule) stop() {
	a.timer.Stop()
	*a = ackSchedule{}
}

// ScheduleAck has s's ack sent with the others that are due, after the profile's
// AckDelay or, soon, AckSoon.
func (c *Carrier) ScheduleAck(s Sender, soon bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return
	}
	a := &c.acks
	a.due = append(a.due, s)
	switch {
	case a.timer.IsZero():
		a.timer = c.set.tasks.AfterFunc(c.profile.Delay(soon), c.ackFlush) // one that is kept would cost an idle client more than this garbage
	case soon && !a.soon:
		a.timer.Reset(c.profile.AckSoon)
	}
	a.soon = a.soon || soon
}

// takeAcks is the acks that are due, which are not any more.
func (c *Carrier) takeAcks() []byte {
	c.mu.Lock()
	due := c.acks.due
	c.acks.stop()
	c.mu.Unlock()
	var all []byte
	for _, s := range due {
		if h, ok := s.PendingAck(c); ok {
			all = append(all, make([]byte, wire.HeaderLen)...)
			wire.Put(all[len(all)-wire.HeaderLen:], h)
		}
	}
	return all
}

func (c *Carrier) flushAcks() {
	if all := c.takeAcks(); len(all) > 0 {
		c.PutFrame(all)
	}
}

// write sends control, f and the coalesced frames, in as few messages as they need.
func (c *Carrier) write(control []byte, s Sender, f *Frame, coalesced []*writeWaiter) error {
	if c.profile.Paid { // a message goes anyway
		control = append(control, c.takeAcks()...)
		c.live.lastTx.Store(time.Now().UnixNano())
	}
	if f != nil && f.isBulk() || len(control)+len(coalesced) == 0 {
		if err := c.writeControl(control); err != nil || f == nil {
			return err
		}
		s.Stamp(f)
		return c.writeOne(f)
	}
	msg := transport.GetFull()[:0]
	defer func() { transport.PutBuffer(msg) }()
	msg = append(msg, control[:wholeFrames(control, maxBatch)]...)
	control = control[len(msg):]
	if f != nil {
		s.Stamp(f)
		msg = append(msg, f.Buf...)
	}
	for _, w := range coalesced {
		w.sender.Stamp(w.frame)
		msg = append(msg, w.frame.Buf...)
	}
	if err := c.transport.WriteMessage(msg); err != nil {
		return err
	}
	return c.writeControl(control)
}

func (c *Carrier) writeControl(b []byte) error {
	for len(b) > 0 {
		n := wholeFrames(b, wire.MaxFrame)
		if err := c.transport.WriteMessage(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// wholeFrames is how many of b's bytes are frames that fit into limit together.
func wholeFrames(b []byte, limit int) int {
	if len(b) <= limit {
		return len(b)
	}
	n := 0
	for {
		h, _ := wire.Parse(b[n:])
		if n+wire.HeaderLen+h.Len > limit {
			return n
		}
		n += wire.HeaderLen + h.Len
	}
}

// writeOne writes a message of one frame and learns from how long that takes.
func (c *Carrier) writeOne(f *Frame) error {
	if !f.isBulk() || c.profile.Frame > 0 {
		return c.transport.WriteMessage(f.Buf)
	}
	began := time.Now()
	err := c.transport.WriteMessage(f.Buf)
	took := time.Since(began)
	c.mu.Lock()
	switch {
	case took < fastWrite:
		c.chunk = min(2*c.chunk+largerBy, wire.MaxData)
	case took > slowWrite:
		c.chunk = max(c.chunk/2, firstChunk/2)
	}
	c.mu.Unlock()
	return err
}

// ChunkSize is how many bytes of a stream a Data frame by this carrier should
// hold.
func (c *Carrier) ChunkSize() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chunk
}
