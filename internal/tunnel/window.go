package tunnel

import (
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// WindowBudget bounds what all windows of a process have grown beyond FirstWindow,
// and what it keeps for peers beyond firstCredit a tunnel.
type WindowBudget struct{ left atomic.Int64 }

// NewWindowBudget allows n bytes of growth.
func NewWindowBudget(n int64) *WindowBudget {
	b := &WindowBudget{}
	b.left.Store(n)
	return b
}

func (b *WindowBudget) take(n int64) bool {
	if b == nil {
		return false
	}
	if b.left.Add(-n) < 0 {
		b.left.Add(n)
		return false
	}
	return true
}

func (b *WindowBudget) give(n int64) {
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

// messageAhead is how much is read that waits for a message of the gateway door.
const messageAhead = wire.MaxTextBody

// roomToSend is how many bytes of the stream may be read: as many as the peer
// takes and as may be kept for it. t.mu is held.
func (t *Tunnel) roomToSend() uint64 {
	s := &t.send
	kept, room, least := s.read-min(s.acked, s.read), s.limit-min(s.limit, s.read), t.profile().MinRoom
	room = min(room, t.roomToKeep())
	for room > 0 && kept+least > s.credit && s.credit < wire.MaxWindow && t.table.Windows.take(int64(s.credit)) {
		s.credit *= 2
	}
	return min(room, s.credit-min(kept, s.credit))
}

// giveCredit returns what a tunnel that pauses does not need. t.mu is held.
func (t *Tunnel) giveCredit() {
	if t.send.read-min(t.send.acked, t.send.read) <= firstCredit {
		t.table.Windows.give(int64(t.send.credit - firstCredit))
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
func (w *window) measure(written, part uint64, limit time.Duration, b *WindowBudget, most uint64) {
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
	if size > w.size && b.take(int64(size-w.size)) {
		w.size = size
	}
}

// MemoryQuota bounds the bytes that are kept for others at this moment, of all users and
// of one, who may have many tunnels or carriers that take nothing. What goes beyond
// has to wait or is given up, rather than the process or other users'. A nil one
// bounds nothing.
type MemoryQuota struct {
	limit int64

	mu  sync.Mutex // guards the following
	all int64
	by  map[uint32]int64
}

// NewMemoryQuota allows limit bytes in all, and a quarter of that to one user.
func NewMemoryQuota(limit int64) *MemoryQuota {
	return &MemoryQuota{limit: limit, by: map[uint32]int64{}}
}

// Add counts n more, or less, and returns how much is left to user: below 0 if that
// was too many, which count until they are taken off as well.
func (k *MemoryQuota) Add(user uint32, n int64) (left int64) {
	if k == nil {
		return 1 << 62
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all += n
	if k.by[user] += n; k.by[user] == 0 {
		delete(k.by, user)
	}
	return min(k.limit-k.all, k.limit/4-k.by[user])
}

// window is the largest that a tunnel may have, should its stream take nothing: half
// of what its user may keep.
func (k *MemoryQuota) window() uint64 {
	if k == nil {
		return wire.MaxWindow
	}
	return min(wire.MaxWindow, max(wire.FirstWindow, uint64(k.limit/8)))
}

// roomToKeep is how many bytes more may be kept for the peer: t may keep as much as is
// left to its user, so that those whose peer takes nothing leave room for others, and
// what chat does. t.mu is held.
func (t *Tunnel) roomToKeep() uint64 {
	left := t.table.Memory.Add(t.user, 0)
	if t.send.read-min(t.send.acked, t.send.read) > transport.SmallFrame && t.send.bytes > left {
		return 0 // an ack has it asked again
	}
	return uint64(max(left, smallSize))
}
