package tunnel

import (
	"net"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/netpoll"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// maxAhead bounds the frames that came early, whatever their size.
const maxAhead = 4096

// deliver takes a frame for t that c brought. It keeps payload or gives it
// back, and never waits. An error ends the carrier, not the tunnel: frames
// that do not open are the doing of whatever is in between.
func (t *Tunnel) deliver(c *carrier.Carrier, h wire.Header, payload []byte) error {
	t.mu.Lock()
	if t.givingUp || t.ended {
		t.mu.Unlock()
		transport.PutBuffer(payload)
		return nil
	}
	err := t.deliverLocked(c, h, payload)
	if err == nil && t.done() {
		t.end(End{})
		return nil
	}
	t.mu.Unlock()
	return err
}

func (t *Tunnel) deliverLocked(c *carrier.Carrier, h wire.Header, payload []byte) error {
	switch h.Kind {
	case wire.Open:
		transport.PutBuffer(payload)
		t.openedAgain(c)
		return nil
	case wire.Accept:
		return t.accepted(payload)
	case wire.Reset:
		t.reset(c, h)
		return nil
	}
	if t.keys == nil {
		return t.keepEarly(h, payload)
	}
	return t.deliverOpened(c, h, payload)
}

// deliverOpened handles the kinds that need the keys.
func (t *Tunnel) deliverOpened(c *carrier.Carrier, h wire.Header, payload []byte) error {
	doubtful := !t.confirmed && !t.table.isClient() && c != t.carrier
	err := t.deliverSealed(c, h, payload)
	if err == nil || !doubtful {
		return err
	}
	// The Open frame came to two origins, and the client has taken the other's Accept.
	t.confirmed = false
	c.PutControl(wire.Header{Kind: wire.Reset, Tunnel: t.ID, Seq: uint64(wire.Unknown)})
	return nil
}

func (t *Tunnel) deliverSealed(c *carrier.Carrier, h wire.Header, payload []byte) error {
	if h.Kind == wire.Attach {
		err := t.attached(c, h, payload)
		transport.PutBuffer(payload)
		if err != nil {
			return err
		}
	}
	t.confirmed = true // a client sends nothing but Open frames before it has the Accept
	if err := t.gotAck(h.Ack, h.Window); err != nil {
		transport.PutBuffer(payload)
		return err
	}
	switch h.Kind {
	case wire.Data, wire.Fin:
		return t.gotBytes(h, payload)
	case wire.Ack:
		if len(t.unacked) == 0 { // the peer had nothing to say for AckDelay: a pause
			t.releaseStack()
		}
	}
	return nil
}

// gotBytes opens a Data or Fin frame and keeps what is new. t.mu is held, and
// released while bytes go to the stream.
func (t *Tunnel) gotBytes(h wire.Header, payload []byte) error {
	n := uint64(h.Len - wire.Overhead)
	fin := h.Kind == wire.Fin
	if fin {
		n = 1
	}
	end := h.Seq + n
	if end <= t.got { // twice: the ack may have been lost
		transport.PutBuffer(payload)
		t.scheduleAck()
		return nil
	}
	if h.Seq < t.got || end > t.promised+1 || end > t.promised && !fin || t.finGot ||
		len(t.queue)+len(t.ahead) >= maxAhead { // a peer keeps fewer that are not written
		transport.PutBuffer(payload)
		return wire.ErrFrame
	}
	data, err := t.keys.Open(payload, h.Kind, h.Seq)
	if err != nil {
		transport.PutBuffer(payload)
		return wire.ErrFrame
	}
	ck := chunk{payload, data, fin, end}
	if h.Seq > t.got {
		t.keepAhead(h.Seq, ck)
		return nil
	}
	t.keepIn(cap(payload))
	t.enqueue(ck)
	for next := t.ahead[t.got]; next != nil; next = t.ahead[t.got] {
		delete(t.ahead, t.got)
		t.enqueue(*next)
	}
	t.noteBulk()
	t.writeOut()
	return nil
}

func (t *Tunnel) keepAhead(seq uint64, ck chunk) {
	if t.ahead[seq] != nil {
		transport.PutBuffer(ck.buf)
		return
	}
	if t.ahead == nil {
		t.ahead = map[uint64]*chunk{}
	}
	t.ahead[seq] = &ck
	t.keepIn(cap(ck.buf))
}

func (t *Tunnel) enqueue(ck chunk) {
	t.got = ck.end
	t.finGot = ck.fin
	t.queue = append(t.queue, ck)
}

// writeOut writes what it can to the stream without waiting; a goroutine
// writes the rest. t.mu is held, and released meanwhile.
func (t *Tunnel) writeOut() {
	if t.writing || t.stream == nil {
		return
	}
	t.writing = true
	if t.nonblocking != nil {
		for len(t.queue) > 0 && !t.ended {
			if !t.writeSome() {
				break
			}
		}
	}
	if len(t.queue) > 0 && !t.ended {
		if t.table.tasks.Add() {
			go t.writeRest()
		}
		return
	}
	t.writing = false
}

// writeSome writes the first chunk without waiting; false if it did not fit.
func (t *Tunnel) writeSome() bool {
	ck := &t.queue[0]
	if ck.fin {
		return t.passFin()
	}
	data := ck.data
	t.mu.Unlock()
	n, err := t.nonblocking.TryWrite(data)
	t.mu.Lock()
	return t.wrote(n, err) && len(data) == n
}

// writeRest writes the queue, waiting for the stream as long as it takes.
func (t *Tunnel) writeRest() {
	defer t.table.tasks.Done()
	t.mu.Lock()
	for len(t.queue) > 0 && !t.ended {
		if t.queue[0].fin {
			t.passFin()
			continue
		}
		data := t.queue[0].data
		t.mu.Unlock()
		n, err := t.stream.Write(data)
		t.mu.Lock()
		if !t.wrote(n, err) {
			break
		}
	}
	t.writing = false
	if t.done() {
		t.end(End{})
		return
	}
	t.mu.Unlock()
}

// wrote accounts for n bytes that the stream took; false if it failed or the
// tunnel has ended meanwhile. t.mu is held.
func (t *Tunnel) wrote(n int, err error) bool {
	if t.ended {
		return false
	}
	ck := &t.queue[0]
	ck.data = ck.data[n:]
	if len(ck.data) == 0 {
		t.dequeue()
	}
	t.written += uint64(n)
	t.table.active.Store(time.Now().UnixNano())
	t.table.moved[t.Service.Kind].received.Add(uint64(n))
	t.afterWrite()
	if err != nil {
		t.startGiveUp(wire.Aborted, false, err)
		return false
	}
	return true
}

func (t *Tunnel) dequeue() {
	t.keepIn(-cap(t.queue[0].buf))
	transport.PutBuffer(t.queue[0].buf)
	t.queue[0] = chunk{}
	if t.queue = t.queue[1:]; len(t.queue) == 0 {
		t.queue = nil
	}
}

// passFin half-closes the stream. A stream that cannot is closed when both
// directions have ended.
func (t *Tunnel) passFin() bool {
	t.closing = true
	if s, ok := t.stream.(interface{ CloseWrite() error }); ok {
		t.mu.Unlock()
		s.CloseWrite()
		t.mu.Lock()
	}
	if t.ended {
		return false
	}
	t.dequeue()
	t.finDone = true
	t.written++
	if t.finSent { // it is the last ack
		t.ackAtOnce()
	} else {
		t.scheduleAck()
	}
	return true
}

// afterWrite sends an ack at once if a part of the window has been used since
// the last, else soon. t.mu is held.
func (t *Tunnel) afterWrite() {
	m := t.profile()
	t.win.measure(t.written, t.win.size/m.GrowAt, m.Grow*t.roundTrip(), t.table.Windows, t.table.Memory.window())
	if t.written-t.ackSent >= (t.promised-t.ackSent)/m.AckAfter {
		t.ackAtOnce()
		return
	}
	t.scheduleAck()
}

// profile is that of the tunnel's carrier. t.mu is held.
func (t *Tunnel) profile() *transport.Profile {
	if t.carrier == nil {
		return transport.StreamProfile()
	}
	return t.carrier.Profile()
}

// roundTrip is the shortest one known: that of a carrier made while others
// were busy is too long. 0 means that none is known. t.mu is held.
func (t *Tunnel) roundTrip() time.Duration {
	if t.carrier == nil {
		return 0
	}
	now := t.carrier.RTT()
	if t.rtt > 0 && (now == 0 || t.rtt < int64(now)) {
		return time.Duration(t.rtt)
	}
	return now
}

// scheduleAck has an ack sent when the carrier's profile allows, or soon if the peer
// keeps much. t.mu is held.
func (t *Tunnel) scheduleAck() {
	c := t.carrier
	if c == nil {
		return
	}
	soon := c.Profile().AckDelay > c.Profile().AckSoon && t.written-t.ackSent > soonAfter
	if t.ackDue && (t.ackSoon || !soon) {
		return
	}
	t.ackDue, t.ackSoon = true, soon
	c.ScheduleAck((*sender)(t), soon)
}

// ackAtOnce sends an ack at once. t.mu is held.
func (t *Tunnel) ackAtOnce() {
	if t.carrier == nil {
		return
	}
	ack, room := t.ackNow()
	t.carrier.PutControl(wire.Header{Kind: wire.Ack, Tunnel: t.ID, Ack: ack, Window: room})
}

// PendingAck implements carrier.Sender.
func (s *sender) PendingAck(c *carrier.Carrier) (wire.Header, bool) {
	t := (*Tunnel)(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ackDue || t.ended || t.carrier != c {
		return wire.Header{}, false
	}
	ack, room := t.ackNow()
	return wire.Header{Kind: wire.Ack, Tunnel: t.ID, Ack: ack, Window: room}, true
}

// ackNow is what to tell the peer: what was written and how far it may go on.
// A limit is never taken back. t.mu is held.
func (t *Tunnel) ackNow() (ack uint64, room uint32) {
	t.ackDue, t.ackSoon = false, false
	t.ackSent = t.written
	t.promised = max(t.promised, t.written+t.win.size)
	return t.written, uint32(t.promised - t.written)
}

// Join gives the tunnel its stream, which it owns from here on, and starts it. It
// returns false if the tunnel has ended.
func (t *Tunnel) Join(stream net.Conn) bool {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		Abort(stream)
		return false
	}
	t.stream, t.nonblocking = stream, netpoll.NewConn(stream, transport.GetFull, transport.PutBuffer)
	if t.nonblocking != nil {
		t.nonblocking.Peek = true
		t.nonblocking.Use(t.table.Carriers.Poller())
	}
	if t.profile().GrowAt > 1 {
		t.win.began = time.Now().UnixNano()
	}
	t.writeOut()
	t.mu.Unlock()
	t.startPump(0)
	return true
}
