package relay

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Carrier takes frames to the peer over one Transport and dies with it; the
// tunnels that used it go on through another. Whoever has a frame to send and
// finds the carrier free writes it; otherwise frames queue, small ones ahead
// of bulk, and the one who writes takes all the small ones along in one message.
// All methods may be called by many goroutines, Serve by one.
type Carrier struct {
	User    uint32 // whose carrier it is: the origin knows it from the token
	Home    any    // what the client knows of the origin it leads to; not changed once in use
	sock    transport.Transport
	table   *Table
	profile *transport.Profile
	dead    atomic.Bool
	lastRx  atomic.Int64         // when a message last came, Unix ns
	lastTx  atomic.Int64         // when one last went, if messages are paid for
	rtt     atomic.Int64         // the shortest round trip seen, ns; 0: none yet
	pinged  atomic.Int64         // when the Ping under way was sent, Unix ns; 0: none is
	heard   atomic.Bool          // the peer has said something
	leave   atomic.Bool          // the peer asked to attach elsewhere
	probing atomic.Bool          // the edge was asked whether it is there
	head    [wire.HeaderLen]byte // of the frame that is being read

	mu      sync.Mutex // guards the following; never held across I/O
	busy    bool       // somebody writes
	small   []*turn
	large   []*turn
	streak  int    // messages of small frames since the last of bulk
	control []byte // frames without payload, to go with the next message
	owing   []*Tunnel
	pay     *time.Timer // until the acks that are owed are sent; nil: none is
	paySoon bool        // within the profile's AckSoon
	chunk   int         // bytes of stream that a Data frame should hold
	tunnels tunnelSet
	left    int64         // when a tunnel last left it, Unix ns
	last    []wire.Header // the client's last acks of tunnels, the newest last
}

// turn is a goroutine's wait to write its frame.
type turn struct {
	t     *Tunnel
	f     *frame
	ready chan verdict
}

type verdict int

const (
	written verdict = iota // another goroutine wrote it
	yours                  // the carrier is free: write
	failed                 // the carrier is dead
)

// ErrDead means that a carrier has failed. The frame stays with its tunnel.
var ErrDead = errors.New("carrier is dead")

const (
	// maxBatch bounds a message of several small frames.
	maxBatch = 16 << 10
	// maxStreak small messages pass before bulk gets a turn.
	maxStreak = 8
	// maxControl bounds acks and resets that wait for a socket that is stuck.
	maxControl = 1 << 20
	// A Data frame starts at firstChunk and grows while writing one takes less
	// than fastWrite; it shrinks when writing takes longer than slowWrite, so
	// that chat never waits long behind a frame.
	firstChunk = 16<<10 - wire.HeaderLen - wire.Overhead - 8
	fastWrite  = 10 * time.Millisecond
	slowWrite  = 200 * time.Millisecond
)

// NewCarrier makes a carrier of t's tunnels. Call Serve next.
func NewCarrier(s transport.Transport, t *Table, user uint32) *Carrier {
	c := &Carrier{User: user, sock: s, table: t, profile: s.Profile(), chunk: firstChunk}
	if c.profile.Frame > 0 {
		c.chunk = c.profile.Frame - wire.HeaderLen - wire.Overhead
	}
	c.lastRx.Store(time.Now().UnixNano())
	c.lastTx.Store(time.Now().UnixNano())
	c.left = time.Now().UnixNano()
	owner := transport.Owner{Tasks: t.tasks, Poller: &t.poller, Deliver: c.take}
	if t.Open == nil { // it is the client that asks whether the peer is there
		owner.Progress = func() { c.lastRx.Store(time.Now().UnixNano()) }
	}
	s.Start(owner)
	t.addCarrier(c)
	return c
}

// send writes f, or waits until somebody has. f.writing must count the caller.
func (c *Carrier) send(t *Tunnel, f *frame) error {
	c.mu.Lock()
	if c.dead.Load() {
		c.mu.Unlock()
		return ErrDead
	}
	if c.busy {
		w := c.queue(t, f)
		c.mu.Unlock()
		v := <-w.ready
		w.t, w.f = nil, nil
		c.table.turns.Put(w)
		switch v {
		case written:
			return nil
		case failed:
			return ErrDead
		}
		c.mu.Lock()
	}
	c.busy = true
	return c.writeAndPass(t, f)
}

func (c *Carrier) queue(t *Tunnel, f *frame) *turn {
	w, _ := c.table.turns.Get().(*turn)
	if w == nil {
		w = &turn{ready: make(chan verdict, 1)}
	}
	w.t, w.f = t, f
	if f.bulk() {
		c.large = append(c.large, w)
	} else {
		c.small = append(c.small, w)
	}
	return w
}

// writeAndPass writes the caller's frame (none if f is nil) and whatever small
// frames can ride with it, then makes the next one the writer. c.mu is held at
// the call and not at the return; the caller is the writer.
func (c *Carrier) writeAndPass(t *Tunnel, f *frame) error {
	control := c.control
	c.control = nil
	var riders []*turn
	if f == nil || !f.bulk() {
		riders = c.takeRiders(f)
		c.streak++
	} else {
		c.streak = 0
	}
	c.mu.Unlock()

	err := c.write(control, t, f, riders)
	if err != nil {
		c.fail()
	}
	c.mu.Lock()
	for _, w := range riders {
		w.ready <- wroteOr(err)
	}
	c.pass()
	c.mu.Unlock()
	return err
}

func wroteOr(err error) verdict {
	if err != nil {
		return failed
	}
	return written
}

// takeRiders removes from the queue the small frames that fit into a message
// beside f.
func (c *Carrier) takeRiders(f *frame) []*turn {
	size := 0
	if f != nil {
		size = len(f.buf)
	}
	n := 0
	for ; n < len(c.small); n++ {
		if size += len(c.small[n].f.buf); size > maxBatch {
			break
		}
	}
	riders := c.small[:n:n]
	c.small = c.small[n:]
	if len(c.small) == 0 {
		c.small = nil
	}
	return riders
}

// pass makes the next in the queues the writer. c.mu is held.
func (c *Carrier) pass() {
	var w *turn
	switch {
	case len(c.small) > 0 && (c.streak < maxStreak || len(c.large) == 0):
		w, c.small = c.small[0], c.small[1:]
	case len(c.large) > 0:
		w, c.large = c.large[0], c.large[1:]
	case len(c.control) > 0 && !c.dead.Load():
		go c.flush()
		return
	default:
		c.busy = false
		c.small, c.large = nil, nil
		return
	}
	if c.dead.Load() {
		w.ready <- failed
		c.pass()
		return
	}
	w.ready <- yours
}

// flush writes control frames; the caller made the carrier busy for it.
func (c *Carrier) flush() {
	c.mu.Lock()
	c.writeAndPass(nil, nil)
}

// putControl queues a frame without payload and sees to it that it is sent.
// It never waits: readers of carriers call it.
func (c *Carrier) putControl(h wire.Header) {
	b := newControl(h)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queueControl(b[:])
}

func (c *Carrier) queueControl(b []byte) {
	if c.dead.Load() {
		return
	}
	if len(c.control) > maxControl { // an ack that is lost on a living carrier stalls its tunnel
		go c.fail()
		return
	}
	c.control = append(c.control, b...)
	if !c.busy {
		c.busy = true
		go c.flush()
	}
}

// owe has t's ack sent with the others that are owed, after the profile's
// AckDelay or, soon, AckSoon.
func (c *Carrier) owe(t *Tunnel, soon bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owing = append(c.owing, t)
	switch {
	case c.pay == nil:
		c.pay = time.AfterFunc(c.profile.Delay(soon), c.payAcks) // one that is kept would cost an idle client more than this garbage
	case soon && !c.paySoon:
		c.pay.Reset(c.profile.AckSoon)
	}
	c.paySoon = c.paySoon || soon
}

// takeOwed is the acks that are owed.
func (c *Carrier) takeOwed() []byte {
	c.mu.Lock()
	owing := c.owing
	if c.pay != nil {
		c.pay.Stop()
	}
	c.owing, c.pay, c.paySoon = nil, nil, false
	c.mu.Unlock()
	var all []byte
	for _, t := range owing {
		if h, ok := t.payAck(c); ok {
			b := newControl(h)
			all = append(all, b[:]...)
		}
	}
	return all
}

func (c *Carrier) payAcks() {
	if all := c.takeOwed(); len(all) > 0 {
		c.mu.Lock()
		c.queueControl(all)
		c.mu.Unlock()
	}
}

// fail ends the carrier: waiting senders get ErrDead, Serve returns.
func (c *Carrier) fail() {
	if c.dead.Swap(true) {
		return
	}
	c.mu.Lock()
	for _, q := range [2][]*turn{c.small, c.large} {
		for _, w := range q {
			w.ready <- failed
		}
	}
	c.small, c.large, c.control, c.owing = nil, nil, nil, nil
	c.mu.Unlock()
	c.sock.Close()
}

// Close ends the carrier. Its tunnels live on.
func (c *Carrier) Close() { c.fail() }

// Dead reports whether the carrier has ended.
func (c *Carrier) Dead() bool { return c.dead.Load() }
