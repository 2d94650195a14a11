package tunnel

import (
	"errors"
	"io"
	"os"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// maxUnacked bounds the frames that are kept: a window of single bytes would
// hold hundreds of times its size. It allows a window of full frames.
const maxUnacked = 1024

// pump reads the stream and sends it until the stream ends or the tunnel does.
// Sending grows its stack to several times what waiting needs, so when sweep
// finds the tunnel idle, the table's poller takes over, or a new goroutine, to wait.
func (t *Tunnel) pump(number int) {
	for {
		room := t.waitRoom()
		if room == 0 {
			return
		}
		if t.nonblocking != nil && t.nonblocking.Peek && t.nonblocking.Park(func() { t.pump(number) }) {
			return
		}
		f, err := t.readFrame(room)
		if f != nil && !t.sendFrame(f, number, err != nil) {
			return
		}
		switch {
		case err == nil:
			t.stackGrown.Store(true)
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.stream.SetReadDeadline(time.Time{})
			t.stackGrown.Store(false)
			t.nonblocking.Peek = true
			t.startPump(number)
			return
		default:
			t.streamEnded(err)
			return
		}
	}
}

// startPump has a goroutine read the stream.
func (t *Tunnel) startPump(number int) { t.table.tasks.Go(func() { t.pump(number) }) }

// releaseStack has the pump wait with a new stack, if it has grown one.
func (t *Tunnel) releaseStack() {
	if t.nonblocking != nil && t.stackGrown.Load() {
		t.stream.SetReadDeadline(time.Unix(1, 0))
	}
}

// waitRoom waits until a frame may be sent and says how many bytes of the
// stream it may hold; 0 when the tunnel has ended.
func (t *Tunnel) waitRoom() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	for !t.ended {
		room := t.roomToSend()
		enough := (room >= t.profile().MinRoom || room > 0 && len(t.unacked) == 0) && len(t.unacked) < maxUnacked
		if enough && t.keys != nil && t.carrier != nil && !t.resending {
			return int(min(room, uint64(t.carrier.ChunkSize())))
		}
		t.wake.Wait()
	}
	return 0
}

// readFrame waits for bytes of the stream and makes a Data frame of them.
func (t *Tunnel) readFrame(room int) (*frame, error) {
	t.mu.Lock()
	head, gather := t.prefix(), t.profile().Gather
	t.mu.Unlock()
	t.readWasFull = t.readWasFull || gather > 0
	buf, n, err := t.readStream(head+wire.HeaderLen, room)
	if n == 0 {
		return nil, err
	}
	if gather > 0 && err == nil && (n > transport.SmallFrame || t.filled) {
		n, err = t.readMore(buf[head+wire.HeaderLen:], n, room, gather)
	}
	t.filled = n == room
	if size := head + wire.HeaderLen + n + wire.Overhead; size <= transport.MidSize && cap(buf) == transport.FullSize {
		fits := transport.GetBuffer(size)
		copy(fits[head+wire.HeaderLen:], buf[head+wire.HeaderLen:][:n])
		transport.PutBuffer(buf)
		buf = fits
	}
	f := &frame{Frame: carrier.Frame{Buf: buf}, kind: wire.Data, seq: t.sent, end: t.sent + uint64(n)}
	t.seal(f, head, n)
	return f, err
}

// readMore reads on until there are room bytes in buf, which has n, or the wait
// is over.
func (t *Tunnel) readMore(buf []byte, n, room int, wait time.Duration) (int, error) {
	t.stream.SetReadDeadline(time.Now().Add(wait))
	defer t.stream.SetReadDeadline(time.Time{})
	for room = min(room, len(buf)-wire.Overhead); n < room; {
		m, err := t.stream.Read(buf[n:room])
		n += m
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readStream reads up to room bytes into a buffer with head bytes before them
// and room for the tag behind.
func (t *Tunnel) readStream(head, room int) ([]byte, int, error) {
	room = min(room, transport.FullSize-head-wire.Overhead)
	if t.nonblocking != nil {
		return t.nonblocking.Read(head, room)
	}
	var buf []byte
	if t.readWasFull {
		buf = transport.GetFull()
	} else {
		room = min(room, smallSize)
		buf = make([]byte, head+room+wire.Overhead)
	}
	n, err := t.stream.Read(buf[head : head+room])
	t.readWasFull = n == room
	if n == 0 {
		transport.PutBuffer(buf)
	}
	return buf, n, err
}

// prefix is how many bytes the first Data frame of the origin leaves for the Accept
// frame to ride in front. An Accept that has gone out alone meanwhile goes out
// twice, which harms nobody. t.mu is held.
func (t *Tunnel) prefix() int {
	if t.sent > 0 || t.confirmed {
		return 0
	}
	return len(t.accept)
}

// seal finishes a frame whose plaintext of n bytes stands behind head bytes
// and a header.
func (t *Tunnel) seal(f *frame, head, n int) {
	t.sealing.Lock()
	defer t.sealing.Unlock()
	copy(f.Buf[:head], t.accept)
	f.Head = head
	start := head + wire.HeaderLen
	sealed := t.keys.Seal(f.Buf[start:start+n], f.kind, f.seq)
	f.Buf = f.Buf[:start+len(sealed)]
	wire.Put(f.Buf[head:], wire.Header{Kind: f.kind, Len: len(sealed), Tunnel: t.ID, Seq: f.seq})
}

// sendFrame keeps f until it is acked and sends it; false if the tunnel ended
// or another pump reads now. last says that nothing else is to be read.
func (t *Tunnel) sendFrame(f *frame, number int, last bool) bool {
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return false
	}
	t.unacked = append(t.unacked, f)
	t.keepOut(cap(f.Buf))
	t.sent, t.finSent = f.end, f.kind == wire.Fin
	t.table.active.Store(time.Now().UnixNano())
	if f.kind == wire.Data {
		t.table.moved[t.Service.Kind].sent.Add(f.end - f.seq)
	}
	c := t.carrier
	if c == nil || t.resending { // whoever resends takes it along
		t.mu.Unlock()
		return true
	}
	f.by = c
	f.Writing++
	t.pumping = !last
	t.noteBulk()
	t.mu.Unlock()
	t.sentBy(c, f, c.Send((*sender)(t), &f.Frame))
	return last || t.stillPump(number)
}

// stillPump is false if the tunnel moved on while the pump of that number was
// sending: another one reads now.
func (t *Tunnel) stillPump(number int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pumps != number {
		return false
	}
	t.pumping = false
	return true
}

// sentBy settles a send through c.
func (t *Tunnel) sentBy(c *carrier.Carrier, f *frame, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f.Writing--
	f.release()
	if err == nil || t.ended {
		return
	}
	if f.by == c {
		f.by = nil
	}
	if t.carrier == c {
		t.orphan(c)
	}
	t.resendLocked()
}

// streamEnded tells the peer how the stream ended.
func (t *Tunnel) streamEnded(err error) {
	gone := t.nonblocking != nil && t.nonblocking.Gone()
	t.mu.Lock()
	if t.ended {
		t.mu.Unlock()
		return
	}
	if !errors.Is(err, io.EOF) || gone && !t.closing {
		t.mu.Unlock()
		t.giveUp(wire.Aborted, false, err)
		return
	}
	head := t.prefix()
	f := &frame{kind: wire.Fin, seq: t.sent, end: t.sent + 1}
	f.Buf = make([]byte, head+wire.HeaderLen+wire.Overhead)
	t.mu.Unlock()
	t.seal(f, head, 0)
	t.sendFrame(f, 0, true)
}

// Stamp implements carrier.Sender.
func (s *sender) Stamp(f *carrier.Frame) {
	t := (*Tunnel)(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if f.Writing > 1 { // another carrier reads it
		return
	}
	ack, room := t.ackNow()
	wire.PutAck(f.Buf[f.Head:], ack, room)
}

// resendLocked sends again, by a goroutine of its own, what no living carrier
// has taken. t.mu is held.
func (t *Tunnel) resendLocked() {
	if t.resending || t.carrier == nil || t.ended || t.unsent() == nil {
		return
	}
	t.resending = true
	t.startResend(t.carriers)
}

// startResend has a goroutine send again. t.resending is set.
func (t *Tunnel) startResend(carriers int) { t.table.tasks.Go(func() { t.resend(carriers) }) }

func (t *Tunnel) unsent() *frame {
	for _, f := range t.unacked {
		if !f.sent() {
			return f
		}
	}
	return nil
}

// resend ends when the tunnel moves on: to its carrier number carriers+1.
func (t *Tunnel) resend(carriers int) {
	t.mu.Lock()
	for !t.ended && t.carrier != nil && t.carriers == carriers {
		f := t.unsent()
		if f == nil {
			break
		}
		c := t.carrier
		f.by = c
		f.Writing++
		t.mu.Unlock()
		t.sentBy(c, f, c.Send((*sender)(t), &f.Frame))
		t.mu.Lock()
	}
	if t.carriers == carriers {
		t.resending = false
		t.wake.Broadcast()
	} else {
		t.resendLocked() // what failed here
	}
	t.mu.Unlock()
}

// gotAck drops what the peer has written to its stream. t.mu is held.
func (t *Tunnel) gotAck(ack uint64, room uint32) error {
	if ack > t.sent {
		return wire.ErrFrame
	}
	if ack > t.acked {
		t.acked = ack
		n := 0
		for n < len(t.unacked) && t.unacked[n].end <= ack && t.unacked[n].kind != wire.Open {
			t.unacked[n].acked = true
			t.keepOut(-cap(t.unacked[n].Buf))
			t.unacked[n].release()
			n++
		}
		t.dropAcked(n)
		t.wake.Broadcast()
	}
	if limit := ack + uint64(room); limit > t.limit {
		t.limit = limit
		t.wake.Broadcast()
	}
	return nil
}

func (t *Tunnel) dropAcked(n int) {
	if n == len(t.unacked) {
		clear(t.unacked)
		if t.unacked = t.unacked[:0]; cap(t.unacked) > 4 {
			t.unacked = nil
		}
		return
	}
	t.unacked = append(t.unacked[:0], t.unacked[n:]...)
}

// noteBulk tells once that the tunnel moves more than chat does. t.mu is held.
func (t *Tunnel) noteBulk() {
	if !t.bulkTold && t.sent+t.got > t.profile().Bulk && t.table.Bulk != nil {
		t.bulkTold = true
		t.table.tasks.Go(func() { t.table.Bulk(t) })
	}
}
