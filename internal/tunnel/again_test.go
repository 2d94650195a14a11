package tunnel

import (
	"net"
	"slices"
	"testing"
	"time"

	"culvert/internal/wire"
)

func TestATunnelIsStartedAnewTwiceAtMost(t *testing.T) {
	t.Parallel()
	ended := make(chan End, 1)
	tb := NewTable(Events{Ended: func(e End) { ended <- e }}, NewWindowBudget(1<<20))
	near, far := net.Pipe()
	defer far.Close()
	var whys []wire.Reason
	start := Start{ID: 1, Service: wire.Service{Kind: wire.Chat}, Payload: []byte("first")}
	start.Again = func(why wire.Reason, now time.Time) (Start, error) {
		if want := time.Unix(1_800_000_000, 0); !now.Equal(want) {
			t.Errorf("got %v, want %v", now, want)
		}
		whys = append(whys, why)
		next := start
		next.Payload = []byte("next")
		return next, nil
	}
	tunnel, ok := tb.StartTunnel(start, near)
	if !ok {
		t.Fatal("got no tunnel")
	}
	reset := func(why wire.Reason) {
		tunnel.mu.Lock()
		defer tunnel.mu.Unlock()
		tunnel.reset(nil, wire.Header{Kind: wire.Reset, Tunnel: 1, Seq: uint64(why), Ack: 1_800_000_000})
	}
	reset(wire.Stale)
	reset(wire.Clock)
	if got := string(tunnel.unacked[0].Buf[wire.HeaderLen:]); got != "next" {
		t.Errorf("got an Open of %q, want next", got)
	}
	reset(wire.Stale)
	if e := <-ended; e.Reason != wire.Stale || !e.FromPeer {
		t.Errorf("got %v from peer %v, want %v", e.Reason, e.FromPeer, wire.Stale)
	}
	if want := []wire.Reason{wire.Stale, wire.Clock}; !slices.Equal(whys, want) {
		t.Errorf("got %v, want %v", whys, want)
	}
}
