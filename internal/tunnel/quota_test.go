package tunnel

import (
	"sync"
	"testing"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAUserWhoTakesNothingLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	k := NewMemoryQuota(64 << 20)
	taken := int64(0)
	for k.Add(1, 1<<20) >= 0 {
		taken++
	}
	if k.Add(2, 1<<20) < 0 || taken != 16 {
		t.Errorf("got %d MiB of one user taken and another refused, want 16 MiB and room", taken)
	}
	k.Add(1, -(taken+1)<<20)
	k.Add(2, -1<<20)
	if k.all != 0 || len(k.by) != 0 {
		t.Errorf("got %d bytes of %d users left, want none", k.all, len(k.by))
	}
}

// stuckTunnels is how many tunnels a user has of which neither end takes anything, beside one of chat.
const stuckTunnels = 40

// Whatever a user's tunnels could keep by their windows, they do not keep more than
// the user may; chat goes on, that user's too.
func TestTunnelsThatTakeNothingKeepNoMoreThanTheirUserMay(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]func(app, service *memStream){
		"bytes for streams":  func(app, _ *memStream) { app.Write(bytesOf(wire.FirstWindow, 1)) },
		"bytes for the peer": func(_, service *memStream) { service.Write(bytesOf(wire.FirstWindow, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) { keepsNoMore(t, n, fill) })
		})
	}
}

func keepsNoMore(t *testing.T, n *Net, fill func(app, service *memStream)) {
	const share = 1 << 20
	n.far.Memory = NewMemoryQuota(4 * share)
	stuck, _ := n.carrier(fate{}, fate{})
	var filling sync.WaitGroup
	for id := range stuckTunnels {
		app, service, _ := joined(t, n, wire.TunnelID(id+1), stuck)
		filling.Go(func() { fill(app, service) })
	}
	free, _ := n.carrier(fate{}, fate{})
	app, service, _ := joined(t, n, 1000, free)
	time.Sleep(time.Minute)
	n.far.Memory.mu.Lock()
	kept := n.far.Memory.by[7]
	n.far.Memory.mu.Unlock()
	// Several may look what is left before one takes it.
	if most := int64(share + stuckTunnels*transport.SmallFrame + 8*transport.FullSize); kept > most || kept < share/4 {
		t.Errorf("got %d bytes kept, want %d at most", kept, most)
	}
	go app.Write([]byte("ask"))
	wantRead(t, service, "ask")
	go service.Write([]byte("answer"))
	wantRead(t, app, "answer")
	n.stop()
	filling.Wait()
	if n.far.Memory.all != 0 {
		t.Errorf("got %d bytes kept after the end, want none", n.far.Memory.all)
	}
}
