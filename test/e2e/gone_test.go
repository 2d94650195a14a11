package e2e

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"culvert/origin"
)

// What an origin that drains holds is sought, but not in a hurry: it may be gone.
func TestTunnelsThatNobodyHoldsAnyMoreAreNotSoughtForEver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var revoked atomic.Bool
		a := w.api(apiOptions{origin: func(c *origin.Config) { c.Revoked = func(uint32) bool { return revoked.Load() } }})
		way := w.forward(a.clients.addr)
		way.delay.Store(int64(20 * time.Millisecond))
		n := w.clientBy(1, w.textFront(way.addr())).ready()
		c := n.chat()
		if _, err := c.ping(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go a.Drain(ctx)
		<-time.After(time.Minute)
		before := way.dials.Load()
		revoked.Store(true)
		<-time.After(10 * time.Minute)
		dials := way.dials.Load() - before
		if dials > 400 {
			t.Errorf("got %d dials in 10 minutes, want 400 at most", dials)
		}
		if got := n.Status().Tunnels; got != 0 {
			t.Errorf("got %d tunnels after 10 minutes without a carrier that worked, want none", got)
		}
	})
}
