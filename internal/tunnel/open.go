package tunnel

import (
	"net"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// controlPos separates the nonces of control frames from positions: it is
// seal.ControlPos.
const controlPos = 1 << 63

// Start is what a client's tunnel begins with.
type Start struct {
	ID      wire.TunnelID
	Service wire.Service
	Payload []byte                            // of the Open frame
	Early   int                               // bytes of the stream that are in Payload
	Finish  func(accept []byte) (Keys, error) // makes the keys of the Accept frame's payload
	Again   Again                             // nil: a Reset is the end
}

// Again starts anew when the origin says wire.Clock, its time being now, or
// wire.Stale.
type Again func(why wire.Reason, now time.Time) (Start, error)

// maxAgain: an origin that was restarted may find the handshake stale, and the
// next one older than itself.
const maxAgain = 2

// StartTunnel makes the client's end of a tunnel. It owns stream from here on. The Open
// frame goes out with Attach.
func (tb *Table) StartTunnel(s Start, stream net.Conn) (*Tunnel, bool) {
	t := newTunnel(tb, s.ID, 0, s.Service)
	t.sent = uint64(s.Early)
	t.start(s)
	if !tb.add(t) {
		Abort(stream)
		return nil, false
	}
	return t, t.Join(stream)
}

// start makes the Open frame.
func (t *Tunnel) start(s Start) {
	t.finish, t.again = s.Finish, s.Again
	buf := make([]byte, wire.HeaderLen+len(s.Payload))
	wire.Put(buf, wire.Header{Kind: wire.Open, Len: len(s.Payload), Tunnel: t.ID})
	copy(buf[wire.HeaderLen:], s.Payload)
	t.unacked = []*frame{{Frame: carrier.Frame{Buf: buf}, kind: wire.Open, end: t.sent}}
}

// reset handles a Reset frame, which c brought. t.mu is held.
func (t *Tunnel) reset(c *carrier.Carrier, h wire.Header) {
	why := max(wire.Reason(h.Seq), wire.Aborted) // 0 would be an end in order
	anew := why == wire.Clock || why == wire.Stale
	if anew && !t.answersOpen(c) {
		return
	}
	if !anew || t.again == nil || t.retries == maxAgain {
		t.startGiveUp(why, true, nil)
		return
	}
	t.retries++
	s, err := t.again(why, time.Unix(int64(h.Ack), 0))
	if err != nil {
		t.startGiveUp(why, true, err)
		return
	}
	t.start(s)
	t.resendLocked()
}

// answersOpen reports whether what c brought may be the answer to the latest Open
// frame: others may have gone by other carriers, and each copy is answered by the
// one that brought it. t.mu is held.
func (t *Tunnel) answersOpen(c *carrier.Carrier) bool {
	return t.keys == nil && len(t.unacked) > 0 && t.unacked[0].by == c
}

// Attach makes c the carrier of a client's tunnel, which tells the origin to
// send through it. lost says that the carrier before is dead, so that the
// origin, too, sends again what was not acked.
func (t *Tunnel) Attach(c *carrier.Carrier, lost bool) {
	t.mu.Lock()
	if t.ended || t.carrier == c || c.Dead() {
		t.mu.Unlock()
		return
	}
	lost = lost || t.carrier == nil && t.carriers > 0
	if !t.use(c) {
		t.mu.Unlock()
		return
	}
	var f *frame
	if t.keys != nil {
		f = t.attachFrame(lost)
		f.Writing = 1
	} else {
		t.unacked[0].by = nil // the Open frame, and it alone: nothing follows it before Accept
	}
	t.resending = true // nothing passes the Attach
	carriers := t.carriers
	t.mu.Unlock()
	if f != nil {
		c.Send((*sender)(t), &f.Frame) // if it fails, c's death brings another Attach
	}
	t.startResend(carriers)
}

// attachFrame is sealed by its epoch, which counts up: an old one, brought
// again, moves nothing. Once one has said that a carrier is dead, so do all
// that follow: it may die on its way, or come after them.
func (t *Tunnel) attachFrame(lost bool) *frame {
	lost = lost || t.epoch%2 == 1
	t.epoch += 2 - t.epoch%2
	if lost {
		t.epoch++
	}
	f := &frame{kind: wire.Attach, acked: true}
	f.Buf = make([]byte, wire.HeaderLen+wire.Overhead)
	t.sealing.Lock()
	tag := t.keys.Seal(f.Buf[wire.HeaderLen:wire.HeaderLen], wire.Attach, controlPos|t.epoch)
	t.sealing.Unlock()
	wire.Put(f.Buf, wire.Header{Kind: wire.Attach, Len: len(tag), Tunnel: t.ID, Seq: t.epoch})
	return f
}

// reportLoss has the origin send by the carrier in use, and again what went by
// others: it may not know that one is dead here, and frames were on their way, or
// take another for the one in use. t.mu is held.
func (t *Tunnel) reportLoss() {
	if !t.table.isClient() || t.keys == nil || t.carrier == nil {
		return
	}
	f := t.attachFrame(true)
	f.Writing = 1
	c := t.carrier
	t.table.tasks.Go(func() { c.Send((*sender)(t), &f.Frame) }) // if it fails, c's death brings another Attach
}

// attached moves the origin's end to c if the Attach is newer than the last.
func (t *Tunnel) attached(c *carrier.Carrier, h wire.Header, payload []byte) error {
	if _, err := t.keys.Open(payload, wire.Attach, controlPos|h.Seq); err != nil {
		return wire.ErrFrame
	}
	if h.Seq <= t.epoch {
		return nil
	}
	t.epoch = h.Seq
	if h.Seq%2 == 1 {
		for _, f := range t.unacked {
			if f.by != c {
				f.by = nil
			}
		}
	}
	t.use(c)
	t.ackAtOnce()
	t.resendLocked()
	return nil
}

// openedAgain handles an Open frame for a tunnel that exists: the client has
// not seen the Accept and came through another carrier. Or it came late, by one
// that the client has left: so the carrier before must have the Accept as well.
func (t *Tunnel) openedAgain(c *carrier.Carrier) {
	if t.accept == nil || t.confirmed {
		return // late or replayed
	}
	if t.carrier != nil && t.carrier != c {
		t.carrier.PutFrame(t.accept)
	}
	for _, f := range t.unacked {
		f.by = nil
	}
	t.use(c)
	c.PutFrame(t.accept)
	t.resendLocked()
}

// Reopened tells a tunnel that its Open frame came again, by c; false if there
// is none of this id.
func (tb *Table) Reopened(c *carrier.Carrier, id wire.TunnelID) bool {
	t := tb.find(id)
	if t == nil || t.user != c.User {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.openedAgain(c)
	}
	return true
}

// accepted takes the origin's half of the handshake at the client. t.mu is
// held.
func (t *Tunnel) accepted(payload []byte) error {
	defer transport.PutBuffer(payload)
	if t.finish == nil {
		if !t.table.isClient() { // at the origin
			return wire.ErrFrame
		}
		return nil // twice
	}
	keys, err := t.finish(payload)
	if err != nil { // the genuine one cannot be taken any more
		t.startGiveUp(wire.Broken, false, err)
		return nil
	}
	t.keys, t.finish, t.again = keys, nil, nil
	if len(t.unacked) > 0 && t.unacked[0].kind == wire.Open {
		t.unacked[0].acked = true
		t.unacked[0].release()
		t.dropAcked(1)
	}
	if t.carriers > 1 { // of several Open frames the one that came last may not be the one sent last
		t.reportLoss()
	}
	early := t.early
	t.early, t.earlyLen = nil, 0
	t.wake.Broadcast()
	for _, s := range early {
		if err := t.deliverOpened(t.carrier, s.h, s.buf); err != nil {
			return err
		}
	}
	return nil
}

// keepEarly keeps a frame that came before the Accept, as doors that do not
// keep order may bring them. t.mu is held.
func (t *Tunnel) keepEarly(h wire.Header, payload []byte) error {
	t.earlyLen += cap(payload)
	if h.Kind == wire.Attach || len(t.early) >= maxAhead || t.earlyLen > maxEarlyLen {
		transport.PutBuffer(payload)
		return wire.ErrFrame
	}
	t.early = append(t.early, sealed{h, payload})
	return nil
}

// maxEarlyLen bounds the buffers of early frames: a first window of frames
// that fill a quarter of theirs.
const maxEarlyLen = 4 * wire.FirstWindow

// Opened is what an origin's tunnel begins with.
type Opened struct {
	ID      wire.TunnelID
	Service wire.Service
	Early   []byte // bytes of the stream; the tunnel's from here on
	Accept  []byte // payload of the Accept frame
	Keys    Keys
}

// AcceptTunnel makes the origin's end of a tunnel, without a stream yet; false if
// there is one of this id already. Join or Reset comes next.
func (tb *Table) AcceptTunnel(c *carrier.Carrier, o Opened) (*Tunnel, bool) {
	t := newTunnel(tb, o.ID, c.User, o.Service)
	t.keys = o.Keys
	t.accept = make([]byte, wire.HeaderLen+len(o.Accept))
	wire.Put(t.accept, wire.Header{Kind: wire.Accept, Len: len(o.Accept), Tunnel: t.ID, Window: wire.FirstWindow})
	copy(t.accept[wire.HeaderLen:], o.Accept)
	if n := len(o.Early); n > 0 {
		t.got = uint64(n)
		t.queue = []chunk{{buf: o.Early, data: o.Early, end: t.got}}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !tb.add(t) {
		return nil, false
	}
	t.keepIn(cap(o.Early))
	t.use(c)
	tb.tasks.AfterFunc(acceptDelay, t.acceptAlone)
	return t, true
}

// acceptDelay is how long an Accept waits for the first bytes of the stream to
// ride with. It delays only clients that send more than fits in the Open frame.
const acceptDelay = 2 * time.Millisecond

// acceptAlone sends the Accept frame if nothing has taken it along.
func (t *Tunnel) acceptAlone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.confirmed && t.sent == 0 && !t.finSent && t.carrier != nil && !t.ended {
		t.carrier.PutFrame(t.accept)
	}
}
