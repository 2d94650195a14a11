package relay

import (
	"sync"

	"culvert/internal/wire"
)

// Kept bounds the bytes that are kept for others at this moment, of all users and
// of one, who may have many tunnels or carriers that take nothing. What goes beyond
// is given up, rather than the process or other users'. A nil one bounds nothing.
type Kept struct {
	limit int64

	mu  sync.Mutex // guards the following
	all int64
	by  map[uint32]int64
}

// NewKept allows limit bytes in all, and a quarter of that to one user.
func NewKept(limit int64) *Kept { return &Kept{limit: limit, by: map[uint32]int64{}} }

// Add counts n more, or less; false if that is too many, which count until they
// are taken off as well.
func (k *Kept) Add(user uint32, n int64) bool {
	if k == nil {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all += n
	if k.by[user] += n; k.by[user] == 0 {
		delete(k.by, user)
	}
	return k.within(user, k.limit)
}

func (k *Kept) within(user uint32, limit int64) bool { return k.all <= limit && k.by[user] <= limit/4 }

// isTight is a warning: half of what user may keep is kept.
func (k *Kept) isTight(user uint32) bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.within(user, k.limit/2)
}

// window is the largest that a tunnel may have: a quarter of what its user may
// keep, should its stream take nothing.
func (k *Kept) window() uint64 {
	if k == nil {
		return wire.MaxWindow
	}
	return min(wire.MaxWindow, max(wire.FirstWindow, uint64(k.limit/16)))
}

// keep counts a buffer of n bytes that t keeps, or has given back if n is below 0.
// A tunnel that keeps more than chat does is given up if that is too much. t.mu is
// held.
func (t *Tunnel) keep(n int) {
	t.kept += int64(n)
	if !t.table.Kept.Add(t.user, int64(n)) && n > 0 && t.kept > smallFrame {
		go t.giveUp(wire.Busy, false, nil)
	}
}
