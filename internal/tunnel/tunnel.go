package tunnel

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/netpoll"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Keys seal and open frames: *seal.Keys. Both work in place; buf has room for
// wire.Overhead more. Seal is for one goroutine at a time, and so is Open.
type Keys interface {
	Seal(buf []byte, kind wire.Kind, pos uint64) []byte
	Open(buf []byte, kind wire.Kind, pos uint64) ([]byte, error)
	Forget() // drop what can be made anew: the tunnel is idle
}

// Tunnel is one stream crossing the relay in frames; the same type at both
// ends. It owns its stream. It outlives its carriers: what the peer has not
// acked is kept and sent again through the next.
type Tunnel struct {
	ID      wire.TunnelID
	Service wire.Service

	table *Table
	user  uint32
	began time.Time

	sealing    sync.Mutex  // one Seal at a time
	stackGrown atomic.Bool // the pump's stack has grown

	mu          sync.Mutex // guards the following; never held across I/O
	wake        sync.Cond  // on mu: room to send, a carrier, keys, or the end
	stream      net.Conn
	nonblocking *netpoll.Conn // the same as stream; nil: it is no plain TCP connection
	keys        Keys
	finish      func(accept []byte) (Keys, error) // client: until Accept came
	again       Again                             // client: until Accept came
	retries     int                               // how often again was called
	accept      []byte                            // origin: the Accept frame
	confirmed   bool                              // the client has shown that it has the Accept
	givingUp    bool                              // a goroutine is about to end it
	ended       bool

	// Where frames go.
	carrier   *carrier.Carrier   // takes what is sent; nil: none at present
	used      []*carrier.Carrier // those that may still hold frames of ours
	originRef any                // of its last carrier
	carriers  int                // how many there were
	epoch     uint64             // of the last Attach
	orphaned  time.Time          // since when carrier is nil, or was of no use
	since     time.Time          // when carrier became what it is
	resending bool

	// Towards the peer.
	sent        uint64 // position of the next byte read from the stream
	limit       uint64 // the peer's window ends here
	credit      uint64 // how much may be kept for the peer
	acked       uint64 // position up to which the peer has written all to its stream
	unacked     []*frame
	finSent     bool
	pumps       int  // how many pumps there were; the last one reads
	pumping     bool // the pump is sending, and has not met the end of the stream
	readWasFull bool // the pump's own: the last read filled its buffer
	filled      bool // the pump's own: the last frame was as large as may be

	// From the peer.
	got      uint64 // position up to which all has come
	written  uint64 // position up to which all was written to the stream
	ackSent  uint64 // the last ack that the peer was sent
	ackDue   bool   // an ack is scheduled
	ackSoon  bool   // it is due within the profile's AckSoon
	win      window
	rtt      int64             // the shortest of its carriers' when it came to them, ns
	promised uint64            // the furthest limit that the peer was told
	ahead    map[uint64]*chunk // came before what precedes them, opened
	early    []sealed          // client: came before Accept, not opened
	earlyLen int               // of the buffers in early
	queue    []chunk           // in order, to be written
	writing  bool
	finGot   bool   // the peer's Fin is in order: the queue is what is left
	finDone  bool   // the peer's Fin was passed on to the stream
	closing  bool   // the peer's Fin is being passed on
	bulkTold bool   // Events.Bulk was told
	moved    uint64 // sent and got at the last sweep
	keptIn   int64  // bytes of the buffers in queue and ahead
	keptOut  int64  // bytes of the buffers in unacked
}

// sender is the tunnel as its carriers see it.
type sender Tunnel

// frame is a sealed frame from when it is made until the peer has acked it.
type frame struct {
	carrier.Frame
	kind  wire.Kind
	seq   uint64           // position of the payload's first byte
	end   uint64           // position after its last; a Fin takes one position
	by    *carrier.Carrier // who took it last; nil: nobody yet, or one that failed
	acked bool             // not in unacked any more; whoever stops writing gives Buf back
}

// sent reports whether the frame is on its way through a carrier that lives.
func (f *frame) sent() bool { return f.by != nil && !f.by.Dead() }

// release gives the buffer back once nobody needs it. Tunnel.mu must be held.
func (f *frame) release() {
	if f.acked && f.Writing == 0 && f.Buf != nil {
		transport.PutBuffer(f.Buf)
		f.Buf = nil
	}
}

// chunk is bytes of the stream on their way to it.
type chunk struct {
	buf  []byte // what to give back
	data []byte // what is left to write
	fin  bool
	end  uint64
}

// sealed is a frame that came before the keys.
type sealed struct {
	h   wire.Header
	buf []byte
}

func newTunnel(tb *Table, id wire.TunnelID, user uint32, s wire.Service) *Tunnel {
	t := &Tunnel{ID: id, Service: s, table: tb, user: user, began: time.Now()}
	t.wake.L = &t.mu
	t.limit, t.credit = wire.FirstWindow, firstCredit
	t.promised = wire.FirstWindow
	t.win.size = wire.FirstWindow
	t.orphaned = t.began
	return t
}

// Reset gives the tunnel up: the stream is reset and the peer told why.
func (t *Tunnel) Reset(why wire.Reason) { t.giveUp(why, false, nil) }

// startGiveUp has a goroutine give up. The first reason counts: after a peer's Reset
// come the ones that answer what was on its way. t.mu is held.
func (t *Tunnel) startGiveUp(why wire.Reason, fromPeer bool, err error) {
	if t.givingUp {
		return
	}
	t.givingUp = true
	t.table.tasks.Go(func() { t.giveUp(why, fromPeer, err) })
}

func (t *Tunnel) giveUp(why wire.Reason, fromPeer bool, err error) {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	if !fromPeer {
		t.lastWord(wire.Header{Kind: wire.Reset, Tunnel: t.ID, Seq: uint64(why)})
	}
	t.end(End{Reason: why, FromPeer: fromPeer, Err: err})
}

// done reports that both directions have ended in order. t.mu is held.
func (t *Tunnel) done() bool {
	return !t.ended && t.finDone && t.finSent && len(t.unacked) == 0
}

// end is the one way out. t.mu is held at the call and not at the return.
func (t *Tunnel) end(e End) {
	if e.Reason == 0 {
		said := t.ackSent == t.written
		ack, room := t.ackNow()
		t.lastAck(wire.Header{Kind: wire.Ack, Tunnel: t.ID, Ack: ack, Window: room}, said)
	}
	t.ended = true
	stream, nonblocking, used := t.stream, t.nonblocking, t.used
	t.used, t.carrier = nil, nil
	for _, f := range t.unacked {
		f.acked = true
		f.release()
	}
	t.unacked = nil
	t.dropInbound()
	t.keepIn(int(-t.keptIn))
	t.keepOut(int(-t.keptOut))
	t.table.Windows.give(t.win.grown() + int64(t.credit-firstCredit))
	e.User, e.Service, e.Carriers, e.Took = t.user, t.Service, t.carriers, time.Since(t.began)
	e.Sent, e.Received = t.acked, t.written
	ack := t.written
	t.wake.Broadcast()
	t.mu.Unlock()

	t.table.remove(t, e.Reason == 0, ack)
	for _, c := range used {
		c.Drop((*sender)(t))
	}
	if stream != nil {
		if e.Reason != 0 {
			Abort(stream)
		} else {
			stream.Close()
		}
	}
	if nonblocking != nil {
		nonblocking.Cancel()
	}
	if t.table.Ended != nil {
		t.table.Ended(e)
	}
}

// lastWord tells the peer that the tunnel is over, now or later. t.mu is held.
func (t *Tunnel) lastWord(h wire.Header) {
	if t.carrier != nil {
		t.carrier.PutControl(h)
		return
	}
	t.table.closeLater(closure{h, t.originRef})
}

// lastAck is what the peer's end waits for, unless it was said already. Should
// the carrier die with it, it is said again.
func (t *Tunnel) lastAck(h wire.Header, said bool) {
	if !said || t.carrier == nil {
		t.lastWord(h)
	}
	if t.carrier != nil && t.table.isClient() && !t.carrier.RememberAck(h) {
		t.table.closeLater(closure{h, t.carrier.OriginRef})
	}
}

func (t *Tunnel) dropInbound() {
	for _, c := range t.ahead {
		transport.PutBuffer(c.buf)
	}
	for _, s := range t.early {
		transport.PutBuffer(s.buf)
	}
	if !t.writing { // else the writer has the first
		for _, c := range t.queue {
			transport.PutBuffer(c.buf)
		}
	}
	t.ahead, t.early, t.queue = nil, nil, nil
}

// sweep expires a tunnel without a carrier and lets an idle one forget what it
// can make anew.
func (t *Tunnel) sweep(now time.Time) {
	t.mu.Lock()
	expired := t.carrier == nil && now.Sub(t.orphaned) > wire.HoldTunnel ||
		t.keys == nil && now.Sub(t.began) > wire.HoldTunnel // the Accept stays out
	if moved := t.sent + t.got; moved != t.moved {
		t.moved = moved
	} else if t.keys != nil {
		t.sealing.Lock()
		t.keys.Forget()
		t.sealing.Unlock()
		t.releaseStack()
		t.giveCredit()
	}
	t.mu.Unlock()
	if expired {
		t.Reset(wire.Expired)
	}
}

// use makes c the carrier that takes what is sent; false if c is dead. t.mu is
// held.
func (t *Tunnel) use(c *carrier.Carrier) bool {
	if t.carrier == c {
		return true
	}
	c.Adopt((*sender)(t))
	if c.Dead() { // and may have told its tunnels before this one was among them
		c.Drop((*sender)(t))
		return false
	}
	if t.carrier != nil {
		t.orphaned = time.Now() // c may turn out to be no good
	}
	t.carrier, t.originRef = c, c.OriginRef
	t.carriers++
	t.resending = false
	if t.pumping {
		t.pumping = false
		t.pumps++
		t.startPump(t.pumps)
	}
	t.since = time.Now()
	if r := int64(c.RTT()); r > 0 && (t.rtt == 0 || r < t.rtt) {
		t.rtt = r
	}
	t.used = append(others(t.used, c), c)
	if t.ackDue {
		t.ackDue = false
		t.scheduleAck()
	}
	t.wake.Broadcast()
	return true
}

// others are the living carriers of all but c.
func others(all []*carrier.Carrier, c *carrier.Carrier) []*carrier.Carrier {
	return slices.DeleteFunc(all, func(o *carrier.Carrier) bool { return o == c || o.Dead() })
}

// Lost implements carrier.Sender.
func (s *sender) Lost(c *carrier.Carrier) {
	t := (*Tunnel)(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.ended:
	case t.carrier == c:
		t.orphan(c)
	default:
		t.reportLoss()
		t.resendLocked()
	}
}

// orphan lets go of c, which is dead. That it connected proves nothing of the
// origin at the gateway door: one that brought nothing does not prolong how long
// the tunnel is held. t.mu is held.
func (t *Tunnel) orphan(c *carrier.Carrier) {
	t.carrier = nil
	if !c.Profile().Unproven || c.Heard() {
		t.orphaned = time.Now()
	}
}

// IsBulk reports whether the tunnel has moved more than chat does.
func (t *Tunnel) IsBulk() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bulkTold
}

// OriginRef is that of the tunnel's carrier, or of its last; nil: it has had none.
func (t *Tunnel) OriginRef() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.originRef
}

// Carrier is what takes the tunnel's frames now, or nil.
func (t *Tunnel) Carrier() *carrier.Carrier {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.carrier
}
