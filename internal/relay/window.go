package relay

import (
	"sync/atomic"
	"time"

	"culvert/internal/wire"
)

// Budget bounds what all windows of a process have grown beyond FirstWindow,
// and what it keeps for peers beyond firstCredit a tunnel.
type Budget struct{ left atomic.Int64 }

// NewBudget allows n bytes of growth.
func NewBudget(n int64) *Budget {
	b := &Budget{}
	b.left.Store(n)
	return b
}

func (b *Budget) take(n int64) bool {
	if b == nil {
		return false
	}
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *Budget) give(n int64) {
	if b != nil && n > 0 {
		b.left.Add(n)
	}
}

// firstCredit is how much each tunnel may keep for a peer that does not ack,
// whatever window that peer opens; the rest is the budget's.
const firstCredit = 64 << 10

// soonAfter is how much a sender may keep before its ack is due soon.
const soonAfter = firstCredit / 8

// smallSize is what is read at once from a stream that says little.
const smallSize = 2 << 10

// roomToSend is how many bytes of the stream may be sent: as many as the peer
// takes and as may be kept for it. t.mu is held.
func (t *Tunnel) roomToSend() uint64 {
	kept, room, least := t.sent-t.acked, t.limit-t.sent, t.profile().MinRoom
	room = min(room, t.roomToKeep())
	for room > 0 && kept+least > t.credit && t.credit < wire.MaxWindow && t.table.Budget.take(int64(t.credit)) {
		t.credit *= 2
	}
	return min(room, t.credit-min(kept, t.credit))
}

// giveCredit returns what a tunnel that pauses does not need. t.mu is held.
func (t *Tunnel) giveCredit() {
	if t.sent-t.acked <= firstCredit {
		t.table.Budget.give(int64(t.credit - firstCredit))
		t.credit = firstCredit
	}
}

// window is how far the peer may send ahead of what was written to the
// stream. It starts small and doubles while the stream takes a whole window
// within a few round trips: then it is the window that limits. A stalled
// stream takes nothing, so its window stays.
type window struct {
	size  uint64
	since uint64 // what was written when the measurement began
	began int64  // Unix ns
}

func (w *window) grown() int64 { return int64(w.size) - wire.FirstWindow }

// measure is told what was written. A window is too small if part of it is used
// up within limit; acks come late by a part of a window and by AckDelay at
// most. A limit of 0 means that nothing is known yet.
func (w *window) measure(written, part uint64, limit time.Duration, b *Budget, most uint64) {
	if written-w.since < part {
		return
	}
	now := time.Now().UnixNano()
	took := time.Duration(now - w.began)
	first := w.began == 0
	w.since, w.began = written, now
	if first || limit == 0 || took > limit || w.size*2 > most {
		return
	}
	if b.take(int64(w.size)) {
		w.size *= 2
	}
}
