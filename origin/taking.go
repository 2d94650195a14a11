package origin

import (
	"context"
	"sync"

	"culvert/internal/share"
)

// taking bounds the bytes of functions' bodies that are in memory, shared by users: those that
// are being handled, and as many that wait for that. Its methods may be called by many goroutines.
type taking struct {
	handled, waiting *share.Bound[uint32]

	mu    sync.Mutex // guards the following
	freed chan struct{}
}

func newTaking(size int64) *taking {
	return &taking{handled: share.NewBound[uint32](size), waiting: share.NewBound[uint32](size), freed: make(chan struct{})}
}

// begin waits until a body of user's may be handled, and leave is to be called after that; ok is
// false if ctx has ended before, or too much waits.
func (t *taking) begin(ctx context.Context, user uint32, n int64) (leave func(), ok bool) {
	a := t.handled.Open(user, nil)
	if !a.TakeFree(n) && !t.wait(ctx, a, user, n) {
		a.Close()
		return nil, false
	}
	return func() {
		a.Close()
		t.wake()
	}, true
}

// wait waits for begin.
func (t *taking) wait(ctx context.Context, a *share.Account[uint32], user uint32, n int64) bool {
	w := t.waiting.Open(user, nil)
	defer w.Close()
	if !w.TakeFree(n) {
		return false
	}
	for {
		t.mu.Lock()
		freed := t.freed
		t.mu.Unlock()
		if a.TakeFree(n) {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// wake has all that wait look again.
func (t *taking) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.freed)
	t.freed = make(chan struct{})
}
