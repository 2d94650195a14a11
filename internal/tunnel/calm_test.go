package tunnel

import (
	"io"
	"sync/atomic"
	"testing"
	"time"
)

// Where carriers bring little a tunnel is bulk while it moves much: answers that had waited, and come at once, make a chat
// that for a while, and again whenever they do.
func TestATunnelIsBulkWhileItMovesMuch(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		var told atomic.Int32
		n.near.Bulk = func(*Tunnel) { told.Add(1) }
		near, _ := n.first()
		near.Follow(1, nil, 60_000)
		app, service, tun := joined(t, n, near)
		moves := func(size int) {
			t.Helper()
			go app.Write(bytesOf(size, 1))
			if _, err := io.ReadFull(service, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		for round := range int32(2) {
			moves(2 * budgetedBulk)
			if !tun.IsBulk() || told.Load() != round+1 || tun.Calm() {
				t.Fatalf("moved much: got it bulk %v, told %d times; want so", tun.IsBulk(), told.Load())
			}
			time.Sleep(budgetedFor + time.Second)
			tun.Calm() // judges what has moved since it became bulk, or before
			moves(2 * calmBulk)
			time.Sleep(budgetedFor + time.Second)
			if tun.Calm() || !tun.IsBulk() {
				t.Error("moves more than chat yet: got it calm")
			}
			for range 10 {
				moves(calmBulk / 20)
				time.Sleep(budgetedFor/10 + time.Millisecond)
			}
			if !tun.Calm() || tun.IsBulk() {
				t.Error("moves as little as chat: got it bulk yet")
			}
		}
	})
}
