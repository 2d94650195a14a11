// Package carrier takes frames to a peer over one transport. It decides whose
// frame is written next, keeps the transport alive, and reports to whoever gave
// it a frame what was written and that it died. It knows nothing of tunnels: the
// frames that come go to a Handler.
package carrier

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Carrier takes frames to the peer over one Transport and dies with it; the
// senders that used it go on through another. Whoever has a frame to send and
// finds the carrier free writes it; otherwise frames queue, small ones ahead
// of bulk, and the one who writes takes all the small ones along in one message.
//
// All methods may be called by many goroutines, but for Serve and Start, of which
// one is called once. No method that a Sender or Handler may call from within a
// call of the carrier's waits for the network, but for Send.
type Carrier struct {
	User      uint32 // whose carrier it is: the origin knows it from the token
	OriginRef any    // what the client knows of the origin it leads to; not changed once in use

	transport transport.Transport
	profile   *transport.Profile // the transport's
	set       *Set
	dead      atomic.Bool
	draining  atomic.Bool // the peer wants its tunnels elsewhere, or they are leaving
	live      liveness
	head      [wire.HeaderLen]byte // of the frame that is being read
	flushing  func()               // c.flush: a closure made once, not for every message
	ackFlush  func()               // c.flushAcks, likewise

	mu          sync.Mutex // guards the following; never held across I/O
	queue       writeQueue
	acks        ackSchedule
	chunk       int // bytes of stream that a Data frame should hold
	senders     senderSet
	unusedSince int64         // when a sender last left it, Unix ns
	lastAcks    []wire.Header // what RememberAck was given, the newest last
}

// Sender gives frames to carriers: a tunnel. A carrier calls its methods without
// any lock of its own. They do not wait.
type Sender interface {
	// Stamp is called right before f is written, to refresh what f says of the
	// other direction.
	Stamp(f *Frame)
	// PendingAck returns the ack that ScheduleAck asked c for; false if it is not
	// due any more, or not by c.
	PendingAck(c *Carrier) (wire.Header, bool)
	// Lost is told that c, which the sender uses or has used, has died.
	Lost(c *Carrier)
}

// Frame is a sealed frame that a Sender gives to one carrier or to several.
type Frame struct {
	Buf     []byte // [an Accept frame] header payload; not changed while Writing
	Head    int    // where the header is in Buf
	Writing int    // carriers that have the frame at this moment; the Sender counts
}

// isBulk reports whether the frame gives way to small ones.
func (f *Frame) isBulk() bool { return len(f.Buf) > transport.SmallFrame }

// Handler is told what carriers bring. The table of an end's tunnels is one. No
// method waits.
type Handler interface {
	// Deliver takes a frame that concerns a tunnel. payload is the handler's from
	// here on. An error ends c.
	Deliver(c *Carrier, h wire.Header, payload []byte) error
	// Draining is told that the peer wants c's tunnels elsewhere.
	Draining(c *Carrier)
	// Ended is told that c has died, and which acks it may not have delivered.
	Ended(c *Carrier, acks []wire.Header)
	// Active is when a byte of a stream last moved.
	Active() time.Time
}

// ErrDead means that a carrier has failed. The frame stays with its Sender, which
// sends it by another.
var ErrDead = errors.New("carrier is dead")

// New makes a carrier of s over t. Call Serve or Start next, which end when the
// carrier does. A carrier of a Set that is closed is dead.
func New(s *Set, t transport.Transport, user uint32) *Carrier {
	c := &Carrier{User: user, transport: t, profile: t.Profile(), set: s, chunk: firstChunk}
	if c.profile.Frame > 0 {
		c.chunk = c.profile.Frame - wire.HeaderLen - wire.Overhead
	}
	c.flushing, c.ackFlush = c.flush, c.flushAcks
	now := time.Now().UnixNano()
	c.live.lastRx.Store(now)
	c.live.lastTx.Store(now)
	c.unusedSince = now
	owner := transport.Owner{Tasks: s.tasks, Poller: &s.poller, Deliver: c.deliverAll}
	if s.asks {
		owner.Progress = func() { c.live.lastRx.Store(time.Now().UnixNano()) }
	}
	t.Start(owner)
	s.add(c)
	return c
}

// Profile is that of the carrier's door.
func (c *Carrier) Profile() *transport.Profile { return c.profile }

// Close ends the carrier: who waits in Send gets ErrDead, and Serve returns. Its
// tunnels live on.
func (c *Carrier) Close() {
	if c.dead.Swap(true) {
		return
	}
	c.mu.Lock()
	c.queue.fail()
	c.acks.stop()
	c.mu.Unlock()
	c.transport.Close()
}

// Dead reports whether the carrier has ended.
func (c *Carrier) Dead() bool { return c.dead.Load() }

// end is the last that whoever serves the carrier does.
func (c *Carrier) end() {
	c.Close()
	c.set.remove(c)
	c.mu.Lock()
	acks := c.lastAcks
	c.lastAcks = nil
	senders := c.senders.list()
	c.mu.Unlock()
	c.set.handler.Ended(c, acks)
	for _, s := range senders {
		s.Lost(c)
	}
}

// Drain tells the client to attach its tunnels elsewhere.
func (c *Carrier) Drain() { c.PutControl(wire.Header{Kind: wire.Drain}) }

// Retire marks a carrier for which its end has found another.
func (c *Carrier) Retire() { c.draining.Store(true) }

// Draining reports whether the peer asked to attach elsewhere, or Retire was
// called.
func (c *Carrier) Draining() bool { return c.draining.Load() }

// Adopt counts s among the carrier's senders: it is told when the carrier dies,
// unless that has happened before, which the caller asks Dead about.
func (c *Carrier) Adopt(s Sender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders.add(s)
}

// Drop forgets s, which has ended.
func (c *Carrier) Drop(s Sender) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders.remove(s)
	c.unusedSince = time.Now().UnixNano()
}

// maxLastAcks bounds the last acks that a carrier remembers.
const maxLastAcks = 64

// RememberAck keeps a sender's last ack until the carrier ends, as that may happen
// before the peer has it: then Handler.Ended is given it. It returns false if the
// carrier is dead already.
func (c *Carrier) RememberAck(ack wire.Header) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return false
	}
	if len(c.lastAcks) == maxLastAcks {
		c.lastAcks = slices.Delete(c.lastAcks, 0, 1)
	}
	c.lastAcks = append(c.lastAcks, ack)
	return true
}

// Unused is for how long no sender has used the carrier, 0 if one does. What a
// sender says last may be on its way for a moment.
func (c *Carrier) Unused(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.senders.len() > 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - c.unusedSince)
}

// Load is how many senders use the carrier or did so lately.
func (c *Carrier) Load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.senders.len()
}

// senderSet is the senders of a carrier: one, as a rule, at the origin, where
// a map would cost an idle client more than its tunnel; thousands at a busy
// client.
type senderSet struct {
	few  []Sender // up to fewSenders
	many map[Sender]struct{}
}

const fewSenders = 8

func (l *senderSet) add(s Sender) {
	switch {
	case l.many != nil:
		l.many[s] = struct{}{}
	case slices.Contains(l.few, s):
	case len(l.few) < fewSenders:
		l.few = append(l.few, s)
	default:
		l.many = map[Sender]struct{}{}
		for _, s := range append(l.few, s) {
			l.many[s] = struct{}{}
		}
		l.few = nil
	}
}

func (l *senderSet) remove(s Sender) {
	delete(l.many, s)
	if i := slices.Index(l.few, s); i >= 0 {
		l.few = slices.Delete(l.few, i, i+1)
	}
}

func (l *senderSet) len() int { return len(l.few) + len(l.many) }

func (l *senderSet) list() []Sender {
	return slices.AppendSeq(slices.Clone(l.few), maps.Keys(l.many))
}
