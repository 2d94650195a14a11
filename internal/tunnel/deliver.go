package tunnel

import (
	"errors"
	"io"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// deliver takes a frame for t that c brought. kept says that whole is the tunnel's from
// here on. It never waits. An error ends the carrier, not the tunnel.
func (t *Tunnel) deliver(c *carrier.Carrier, f wire.Frame, early bool, whole []byte) (kept bool, err error) {
	if f.Kind == wire.Reset {
		t.end(reset, End{Reason: wire.Reason(f.Code), FromPeer: true})
		return false, nil
	}
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		return false, nil
	}
	t.heard()
	kept, err = t.take(c, f, early, whole)
	over := t.send.state == sendClosed && t.recv.state == recvClosed
	excess := t.isExcess()
	t.mu.Unlock()
	switch {
	case err != nil:
		return kept, err
	case excess:
		t.Reset(wire.Busy)
	case over:
		t.end(closed, End{})
	default:
		t.writeOut()
	}
	return kept, nil
}

// heard notes that the peer has the tunnel. t.mu is held.
func (t *Tunnel) heard() {
	if t.phase == opening {
		t.phase = open
		t.ready(nil)
	}
}

// take takes a frame. t.mu is held.
func (t *Tunnel) take(c *carrier.Carrier, f wire.Frame, early bool, whole []byte) (kept bool, err error) {
	switch f.Kind {
	case wire.Open:
		return false, t.openedAgain(c, f, early)
	case wire.Data:
		return t.takeBytes(chunk{data: f.Body, from: f.Pos}, whole)
	case wire.Fin:
		return t.takeBytes(chunk{fin: true, from: f.Pos}, nil)
	case wire.Ack:
		return false, t.takeAck(c, f.Pos, f.Num)
	case wire.Use:
		return false, t.used(c, f)
	}
	return false, wire.ErrFrame
}

// openedAgain takes an Open frame of a tunnel that is there: the client has heard
// nothing of it and came by another carrier. t.mu is held.
func (t *Tunnel) openedAgain(c *carrier.Carrier, f wire.Frame, early bool) error {
	if t.table.isClient {
		return wire.ErrFrame
	}
	_, bytes, err := wire.ParseService(f.Body)
	if err != nil {
		return wire.ErrFrame
	}
	if len(bytes) > 0 {
		if _, err := t.takeBytes(chunk{data: bytes}, nil); err != nil {
			return err
		}
	}
	if !early && t.order == 0 && t.sendBy(c, true) != nil {
		t.recv.ackDue = true
		t.ready(nil)
	}
	return nil
}

// used moves the origin's end to c if the Use is newer than the last. t.mu is held.
func (t *Tunnel) used(c *carrier.Carrier, f wire.Frame) error {
	switch {
	case t.table.isClient:
		return wire.ErrFrame
	case f.Num <= t.order:
		if c.Profile().Messages { // a function may hold it up for seconds
			t.usedLate(c, f)
		}
		return nil
	}
	t.order = f.Num
	if f.Code&(wire.Alone|wire.Lost) != 0 {
		t.aloneAt = f.Num
	}
	c.Suspect(false)
	if p := t.sendBy(c, f.Code&wire.Alone != 0); p != nil && f.Code&wire.Lost != 0 {
		t.send.lose(p, true)
		t.suspectOthers(p)
	}
	t.recv.ackDue = true
	t.ready(nil)
	t.dropIdlePaths()
	return nil
}

// silentFor is for how long nothing has come by a carrier of which its client may say that it died: half of what
// a doubt takes at least.
const silentFor = 500 * time.Millisecond

// suspectOthers has an origin that hears of a death by p send no bulk by those that may have died: a Use that is
// not alone does not name them. t.mu is held.
func (t *Tunnel) suspectOthers(p *path) {
	now := time.Now()
	for _, o := range t.paths {
		if o != p && (!o.sends || o.carrier.Quiet(now) > silentFor) {
			o.carrier.Suspect(true)
		}
	}
}

// usedLate takes a Use that a newer one has overtaken: both carriers are meant, if neither is alone and
// the newer does not say that some have died.
// t.mu is held.
func (t *Tunnel) usedLate(c *carrier.Carrier, f wire.Frame) {
	if f.Code&wire.Alone == 0 && f.Num > t.aloneAt && t.pathOf(c) == nil && !c.Spent() {
		if cur := t.current(); t.sendBy(c, false) != nil && cur != nil {
			t.sendBy(cur.carrier, false) // it is the newest yet
		}
		t.ready(nil)
	}
}

// takeAck drops what the peer has, as it said by c. t.mu is held.
func (t *Tunnel) takeAck(c *carrier.Carrier, ack uint64, room uint32) error {
	freed, err := t.send.ack(ack, room)
	if err != nil {
		return err
	}
	if p := t.pathOf(c); p != nil {
		p.blind = 0
		if !p.acked { // the origin had its first Use by then
			p.acked, t.healed = true, max(t.healed, p.told)
		}
	}
	if freed > 0 {
		t.keep(-freed)
		t.dropIdlePaths()
	}
	if t.send.unsent() > 0 {
		t.ready(nil)
	}
	if t.send.acked == t.send.read {
		t.reader.rest()
	}
	t.wakeAll()
	return nil
}

// takeBytes keeps what is new of a Data or Fin frame. t.mu is held.
func (t *Tunnel) takeBytes(ck chunk, whole []byte) (kept bool, err error) {
	if ck.end() <= t.recv.got {
		t.scheduleAck() // the last may have been lost
		return false, nil
	}
	kept, grown, err := t.recv.take(ck, whole)
	t.keep(grown)
	t.noteBulk()
	return kept, err
}

// isExcess reports that the tunnel keeps more than is left of what the stream has not taken, and that nobody
// keeps more than its session: what the peer was told that it may send cannot be taken back, so it is given
// up. While another keeps more, that one pays. t.mu is held.
func (t *Tunnel) isExcess() bool {
	return t.recv.bytes > transport.SmallFrame && t.recv.bytes > t.roomFor() && !t.accounts().memory.IsBehind()
}

// writeOut writes what it can to the stream without waiting; a goroutine writes the
// rest.
func (t *Tunnel) writeOut() {
	if !t.beginWriting() {
		return
	}
	for {
		ck, ok := t.nextChunk()
		if !ok {
			return
		}
		if ck.fin {
			t.passFin()
			continue
		}
		n, blocked, err := t.reader.tryWrite(ck.data)
		if !t.wrote(n, err) {
			return
		}
		if blocked || n < len(ck.data) {
			if t.table.tasks.Add() {
				go t.writeRest()
			}
			return
		}
	}
}

// beginWriting reports whether the caller is to write the queue.
func (t *Tunnel) beginWriting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recv.writing || t.stream == nil || len(t.recv.queue) == 0 || t.isOver() {
		return false
	}
	t.recv.writing = true
	return true
}

// nextChunk is what to write next; false: the caller writes no more.
func (t *Tunnel) nextChunk() (chunk, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.recv.queue) == 0 || t.isOver() {
		t.recv.writing = false
		return chunk{}, false
	}
	return t.recv.queue[0], true
}

// writeRest writes the queue, waiting for the stream as long as it takes.
func (t *Tunnel) writeRest() {
	defer t.table.tasks.Done()
	for {
		ck, ok := t.nextChunk()
		if !ok {
			return
		}
		if ck.fin {
			t.passFin()
			continue
		}
		n, err := t.stream.Write(ck.data)
		if !t.wrote(n, err) {
			return
		}
	}
}

// shows keeps a guest's place from others, as somebody at the other end knows it. t.mu is held.
func (t *Tunnel) shows(now int64) {
	switch {
	case t.guest == nil || now-t.shown < int64(showEvery):
	case t.shown == 0:
		t.guest.Show()
		t.shown = now
	default:
		t.guest.Stir()
		t.shown = now
	}
}

// showEvery is how often a guest shows that it goes on.
const showEvery = 50 * time.Millisecond

// wrote accounts for n bytes that the stream took; false if it failed or the tunnel has
// ended meanwhile.
func (t *Tunnel) wrote(n int, err error) bool {
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		return false
	}
	if n > 0 {
		now := time.Now().UnixNano()
		t.shows(now)
		t.keep(-t.recv.wrote(n))
		t.table.active.Store(now)
		t.session.moved(now)
		t.table.moved[t.Service.Kind].received.Add(uint64(n))
		t.afterWrite()
	}
	t.mu.Unlock()
	if err != nil {
		t.end(reset, End{Reason: wire.Aborted, Err: err})
	}
	return err == nil
}

// passFin half-closes the stream. A stream that cannot is closed when both directions
// have ended.
func (t *Tunnel) passFin() {
	t.mu.Lock()
	t.reader.closing = true
	t.mu.Unlock()
	if s, ok := t.stream.(interface{ CloseWrite() error }); ok {
		s.CloseWrite()
	}
	t.mu.Lock()
	if !t.isOver() {
		t.recv.closed()
		if t.send.state != sendOpen { // it is the last ack
			t.ackAtOnce()
		} else {
			t.scheduleAck()
		}
	}
	t.mu.Unlock()
	t.settle()
}

// afterWrite sends an ack at once if a part of the window has been used since
// the last, else soon. t.mu is held.
func (t *Tunnel) afterWrite() {
	m, r := t.profile(), &t.recv
	r.win.measure(r.written, r.win.size/m.GrowAt, m.Grow*t.roundTrip(), t.accounts().windows, t.table.mostWindow())
	if r.written-r.told >= (r.promised-r.told)/m.AckAfter {
		t.ackAtOnce()
		return
	}
	t.scheduleAck()
}

// scheduleAck has an ack sent when the carrier's profile allows. t.mu is held.
func (t *Tunnel) scheduleAck() {
	p, r := t.current(), &t.recv
	if p == nil {
		r.ackDue = true
		return
	}
	within, soon := t.ackWithin(p.carrier.Profile())
	if r.ackDue && (r.ackSoon || !soon) {
		return
	}
	r.ackDue, r.ackSoon = true, soon
	p.slot.ScheduleAck(within)
}

// ackWithin is how long an ack may wait for a frame to ride on. It is soon if the peer
// keeps much, or hears of the tunnel by it. t.mu is held.
func (t *Tunnel) ackWithin(m *transport.Profile) (within time.Duration, soon bool) {
	r := &t.recv
	switch {
	case r.told == 0 && !t.table.isClient:
		within = m.AckFirst
	case r.written-r.told > m.AckMuch:
		within = m.AckSoon
	default:
		return m.AckDelay, false
	}
	return within, within < m.AckDelay
}

// ackAtOnce sends an ack at once. t.mu is held.
func (t *Tunnel) ackAtOnce() {
	t.recv.ackDue = true
	if p := t.current(); p != nil {
		p.slot.Ready(0)
	}
}

// streamEnded tells the peer how the stream ended.
func (t *Tunnel) streamEnded(err error) {
	gone := t.reader.gone()
	t.mu.Lock()
	inOrder := errors.Is(err, io.EOF) && (!gone || t.reader.closing)
	if inOrder && t.send.state == sendOpen {
		t.send.state = sendEnded
		t.ready(nil)
	}
	t.mu.Unlock()
	if !inOrder {
		t.end(reset, End{Reason: wire.Aborted, Err: err})
	}
}
