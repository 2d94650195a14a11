package tunnel

import (
	"time"

	"culvert/internal/share"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// firstCredit is how much each tunnel may keep for a peer that does not ack,
// whatever window that peer opens; the rest is the budget's.
const firstCredit = 64 << 10

// smallSize is what is read at once from a stream that says little.
const smallSize = 2 << 10

// messageAhead is how much is read that waits for a message of the gateway door.
const messageAhead = wire.MaxTextBody

// roomToSend is how many bytes of the stream may be read: as many as the peer
// takes and as may be kept for it. t.mu is held.
func (t *Tunnel) roomToSend() uint64 {
	s := &t.send
	kept, room, least := s.read-min(s.acked, s.read), s.limit-min(s.limit, s.read), t.profile().MinRoom
	room = min(room, t.roomToKeep())
	for room > 0 && kept+least > s.credit && s.credit < wire.MaxWindow && t.accounts().windows.Claim(int64(s.credit)) {
		s.credit *= 2
	}
	return min(room, s.credit-min(kept, s.credit))
}

// giveCredit returns what a tunnel that pauses does not need. t.mu is held.
func (t *Tunnel) giveCredit() {
	if t.send.read-min(t.send.acked, t.send.read) <= firstCredit {
		t.accounts().windows.Give(int64(t.send.credit - firstCredit))
		t.send.credit = firstCredit
	}
}

// window is how far the peer may send ahead of what was written to the
// stream. It starts small and doubles while the stream takes a whole window
// within a few round trips: then it is the window that limits. It is four times as large
// where half of the time was enough. A stalled stream takes nothing, so its window stays.
type window struct {
	size  uint64
	since uint64 // what was written when the measurement began
	began int64  // Unix ns
}

func (w *window) grown() int64 { return int64(w.size) - wire.FirstWindow }

// measure is told what was written. A window is too small if part of it is used
// up within limit; acks come late by a part of a window and by AckDelay at
// most. A limit of 0 means that nothing is known yet.
func (w *window) measure(written, part uint64, limit time.Duration, b *share.Account[uint32], most uint64) {
	if written-w.since < part {
		return
	}
	now := time.Now().UnixNano()
	took := time.Duration(now - w.began)
	first := w.began == 0
	w.since, w.began = written, now
	if first || limit == 0 || took > limit {
		return
	}
	size := min(2*w.size, most)
	if took <= limit/2 {
		size = min(4*w.size, most)
	}
	if size > w.size && b.Claim(int64(size-w.size)) {
		w.size = size
	}
}

// mostWindow is the largest that a tunnel may have, should its stream take nothing: a
// quarter of what all may keep.
func (tb *Table) mostWindow() uint64 {
	if tb.Shares.Memory == nil {
		return wire.MaxWindow
	}
	return min(wire.MaxWindow, max(wire.FirstWindow, uint64(tb.Shares.Memory.Size()/4)))
}

// window is how far the peer may go on: less than the stream deserves where memory is scarce, so that whoever
// moves bytes keeps little by the time that those who keep most pay. t.mu is held.
func (t *Tunnel) window() uint64 {
	return min(t.recv.win.size, uint64(max(wire.FirstWindow, t.roomFor())))
}

// roomToKeep is how many bytes more may be kept for the peer: t may keep as much as is
// left to its user, so that those whose peer takes nothing leave room for others, and
// what chat does. t.mu is held.
func (t *Tunnel) roomToKeep() uint64 {
	left := t.roomFor()
	if t.send.read-min(t.send.acked, t.send.read) > transport.SmallFrame && t.send.bytes > left {
		return 0 // an ack has it asked again
	}
	return uint64(max(left, smallSize))
}
