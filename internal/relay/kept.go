package relay

import (
	"sync"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Kept bounds the bytes that are kept for others at this moment, of all users and
// of one, who may have many tunnels or carriers that take nothing. What goes beyond
// has to wait or is given up, rather than the process or other users'. A nil one
// bounds nothing.
type Kept struct {
	limit int64

	mu  sync.Mutex // guards the following
	all int64
	by  map[uint32]int64
}

// NewKept allows limit bytes in all, and a quarter of that to one user.
func NewKept(limit int64) *Kept { return &Kept{limit: limit, by: map[uint32]int64{}} }

// Add counts n more, or less, and returns how much is left to user: below 0 if that
// was too many, which count until they are taken off as well.
func (k *Kept) Add(user uint32, n int64) (left int64) {
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

// window is the largest that a tunnel may have, should its stream take nothing: a
// quarter of what its user may keep.
func (k *Kept) window() uint64 {
	if k == nil {
		return wire.MaxWindow
	}
	return min(wire.MaxWindow, max(wire.FirstWindow, uint64(k.limit/16)))
}

// keepOut counts a buffer of n bytes with a frame that the peer has not acked, or
// has if n is below 0. t.mu is held.
func (t *Tunnel) keepOut(n int) {
	t.keptOut += int64(n)
	t.table.Kept.Add(t.user, int64(n))
}

// roomToKeep is how many bytes more may be sent: t may keep as much as is left to
// its user, so that those whose peer takes nothing leave room for others, and what
// chat does. t.mu is held.
func (t *Tunnel) roomToKeep() uint64 {
	left := t.table.Kept.Add(t.user, 0)
	if t.sent-t.acked > transport.SmallFrame && t.keptOut > left {
		return 0 // an ack has it asked again
	}
	return uint64(max(left, smallSize))
}

// keepIn counts a buffer of n bytes with what the stream has not taken, or has. What
// the peer was told that it may send cannot be taken back: a tunnel that keeps more
// than is left is given up. t.mu is held.
func (t *Tunnel) keepIn(n int) {
	t.keptIn += int64(n)
	if left := t.table.Kept.Add(t.user, int64(n)); n > 0 && t.keptIn > max(left, transport.SmallFrame) {
		go t.giveUpExcess()
	}
}

// giveUpExcess looks again: of many that came at once the first may have sufficed.
func (t *Tunnel) giveUpExcess() {
	t.mu.Lock()
	left := t.table.Kept.Add(t.user, 0)
	over := t.keptIn > max(left, transport.SmallFrame)
	t.mu.Unlock()
	if over {
		t.giveUp(wire.Busy, false, nil)
	}
}
