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

// kept is what a quota counts of a user, and of all.
func (k *MemoryQuota) kept(user uint32) (of, all int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.by[user], k.all
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
			doors(t, func(t *testing.T, n *Net) { keepsNoMore(t, n, fill) })
		})
	}
}

func keepsNoMore(t *testing.T, n *Net, fill func(app, service *memStream)) {
	const share = 4 << 20
	n.far.Memory = NewMemoryQuota(4 * share)
	n.tendAlways()
	stuck, _ := n.first()
	var filling sync.WaitGroup
	for range stuckTunnels {
		app, service, _ := joined(t, n, stuck)
		filling.Go(func() { fill(app, service) })
	}
	free, _ := n.first()
	app, service, _ := joined(t, n, free)
	time.Sleep(time.Minute)
	kept, _ := n.far.Memory.kept(testUser)
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
	if _, all := n.far.Memory.kept(testUser); all != 0 {
		t.Errorf("got %d bytes kept after the end, want none", all)
	}
}

// The origin's memory counts to the byte while carriers die, come late and bring all
// twice: when all is over nothing is left.
func TestMemoryIsCountedExactly(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.far.Memory = NewMemoryQuota(256 << 20)
		n.keep = func() (fate, fate) {
			f := fate{delay: time.Millisecond, dieAt: 30, heard: 4, hurtful: true, shuffle: n.gateway(), twice: n.gateway()}
			return f, f
		}
		up, down := bytesOf(4<<20, 1), bytesOf(4<<20, 2)
		app, _ := n.dial(nil, up[:5000])
		n.replace()
		talk(t, app, func() *memStream { return <-n.service(1) }, up[5000:], up, down, 9000)
		time.Sleep(time.Second)
		if _, all := n.far.Memory.kept(testUser); all != 0 {
			t.Errorf("got %d bytes kept by an idle origin, want none", all)
		}
	})
}
