package carrier

import (
	"slices"
	"sync"
)

const (
	// maxBatch bounds the frames of a record of several senders.
	maxBatch = 16 << 10
	// maxStreak records of small frames pass before bulk gets a turn.
	maxStreak = 8
	// maxControl bounds what waits for a transport that is stuck.
	maxControl = 1 << 20
)

// writeQueue is who waits to write, and what. Carrier.mu guards it.
type writeQueue struct {
	work    *sync.Cond // on Carrier.mu: what a writer that paces waits for has changed; nil at the stream door, where none does
	small   []*Slot
	bulk    []*Slot
	control []byte // frames that are no sender's, to go with the next record
	streak  int    // records of small frames since the last of bulk
	running bool   // somebody writes
	held    bool   // the session lets no record go; whoever reads says when
	speak   bool   // the session has something to say
	early   bool   // what is written may hold Open frames alone
	spent   bool   // no record may go any more
	paced   bool   // bulk waits until the path has room for it
	asks    bool   // a Ping is among control
	shut    bool   // what waits is to go later, as the carrier's opening has it
	due     bool   // a message of the opening goes, with or without what waits
	dead    bool
}

// add gives s a turn for n bytes of a stream, as bulk or among small frames. One that waits with some already goes on doing
// so when an ack is due.
func (q *writeQueue) add(s *Slot, n int, isBulk bool) {
	if n > 0 || !s.small && !s.bulk {
		s.pending = n
	}
	if isBulk {
		if !s.bulk {
			s.bulk = true
			q.bulk = append(q.bulk, s)
		}
		return
	}
	if !s.small {
		s.small = true
		q.small = append(q.small, s)
	}
}

func (q *writeQueue) remove(s *Slot) {
	q.small = without(q.small, s, &s.small)
	q.bulk = without(q.bulk, s, &s.bulk)
	s.asked = false
}

func without(all []*Slot, s *Slot, waits *bool) []*Slot {
	if !*waits {
		return all
	}
	*waits = false
	i := slices.Index(all, s)
	return slices.Delete(all, i, i+1)
}

// mayWrite reports whether the writer has something that may go.
func (q *writeQueue) mayWrite() bool { return !q.shut && (q.due || q.wants()) }

// wants reports whether there is something that the session lets go.
func (q *writeQueue) wants() bool {
	return q.speak || !q.held && !q.spent && (len(q.small) > 0 || len(q.bulk) > 0 && !q.paced || len(q.control) > 0 && !q.early)
}

// isUrgent reports whether somebody waits for what may go: bytes of streams, or a sender who asked for a turn without any, as
// whoever names the carrier that the peer is to send by does.
func (q *writeQueue) isUrgent() bool {
	isOf := func(s *Slot) bool { return s.pending > 0 || s.asked }
	return q.wants() && (len(q.bulk) > 0 || slices.ContainsFunc(q.small, isOf))
}

// waiting is how many bytes wait, about.
func (q *writeQueue) waiting() int {
	n := len(q.control)
	for _, s := range q.small {
		n += s.pending + dataHead
	}
	for _, s := range q.bulk {
		n += s.pending + dataHead
	}
	return n
}

// dataHead is what a frame with bytes of a stream begins with.
const dataHead = 15

// keeps reports that what waits does no more than to keep an idle carrier: nobody pays
// for an agreement for that.
func (q *writeQueue) keeps() bool { return len(q.small)+len(q.bulk) == 0 && !q.asks }

// wantsBulk reports whether it is the turn of bulk.
func (q *writeQueue) wantsBulk() bool {
	return len(q.bulk) > 0 && !q.paced && (q.streak >= maxStreak || len(q.small)+len(q.control) == 0)
}

// nextSmall is the next slot of small frames; nil if there is none.
func (q *writeQueue) nextSmall() *Slot {
	if len(q.small) == 0 {
		return nil
	}
	s := q.small[0]
	s.small, s.asked = false, false
	if q.small = q.small[1:]; len(q.small) == 0 {
		q.small = nil
	}
	return s
}

// nextBulk is the next slot of bulk; nil if there is none.
func (q *writeQueue) nextBulk() *Slot {
	if len(q.bulk) == 0 {
		return nil
	}
	s := q.bulk[0]
	s.bulk = false
	if q.bulk = q.bulk[1:]; len(q.bulk) == 0 {
		q.bulk = nil
	}
	return s
}

// stop has the writer end.
func (q *writeQueue) stop() {
	for _, s := range slices.Concat(q.small, q.bulk) {
		s.small, s.bulk, s.asked = false, false, false
	}
	q.small, q.bulk, q.control, q.dead = nil, nil, nil, true
	q.changed()
}

// changed tells a writer that paces.
func (q *writeQueue) changed() {
	if q.work != nil {
		q.work.Broadcast()
	}
}

// kick sees to it that somebody writes what is in the queue. c.mu is held.
func (c *Carrier) kick() {
	q := &c.queue
	switch {
	case q.shut && !q.dead:
		c.arm(leastHold)
	case q.dead || !q.mayWrite():
	case q.running:
		q.changed()
	default:
		q.running = c.set.tasks.Brief(c.writer)
	}
}

// goesOn reports whether the writer has more to write; if not, nobody writes any more.
func (c *Carrier) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.running = !c.queue.dead && c.queue.mayWrite()
	return c.queue.running
}

// Moved is how many bytes of records have gone and come.
func (c *Carrier) Moved() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes()
}

func (c *Carrier) bytes() uint64 { return c.in.bytes + c.out.sent }

// littleUse is what a carrier moves between two sweeps at most by which nothing but questions goes, and their answers.
const littleUse = 512

// rest drops what can be made anew, of what has not been in use since the last time: to make ciphers anew for each of the
// questions after a talk would be most of the garbage. It returns 1 if the carrier was used since the last time, or 1 if it
// has become idle, which one does not by questions alone: to give back what each of thousands has left would be to collect
// the heap all the time.
func (c *Carrier) rest() (used, idle int) {
	c.mu.Lock()
	moved := c.bytes()
	rests := moved == c.moved
	switch {
	case moved-c.moved > littleUse:
		used = 1
	case c.used && rests:
		idle = 1
	}
	c.used, c.moved = used > 0 || c.used && !rests, moved
	if rests && !c.queue.running {
		c.party.RestWriter()
	}
	c.mu.Unlock()
	if rests && c.in.mu.TryLock() {
		c.party.RestReader()
		c.in.mu.Unlock()
	}
	return used, idle
}
