package tunnel

import (
	"sync"
	"testing"
	"time"

	"culvert/internal/share"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

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
	const most = 8 << 20
	n.far.Shares.Memory = share.NewBound[uint32](most)
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
	kept := n.far.Shares.Memory.Taken()
	// Several may look what is left before one takes it.
	if slack := int64(stuckTunnels*transport.SmallFrame + 8*transport.FullSize); kept > most+slack || kept < most/8 {
		t.Errorf("got %d bytes kept, want %d at most", kept, most+slack)
	}
	go app.Write([]byte("ask"))
	wantRead(t, service, "ask")
	go service.Write([]byte("answer"))
	wantRead(t, app, "answer")
	n.stop()
	filling.Wait()
	if all := n.far.Shares.Memory.Taken(); all != 0 {
		t.Errorf("got %d bytes kept after the end, want none", all)
	}
}

// The origin's memory counts to the byte while carriers die, come late and bring all
// twice: when all is over nothing is left.
func TestMemoryIsCountedExactly(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.far.Shares.Memory = share.NewBound[uint32](256 << 20)
		n.keep = func() (fate, fate) {
			f := fate{delay: time.Millisecond, dieAt: 30, heard: 4, hurtful: true, shuffle: n.gateway(), twice: n.gateway()}
			return f, f
		}
		up, down := bytesOf(4<<20, 1), bytesOf(4<<20, 2)
		app, _ := n.dial(nil, up[:5000])
		n.replace()
		talk(t, app, func() *memStream { return <-n.service(1) }, up[5000:], up, down, 9000)
		time.Sleep(time.Second)
		if all := n.far.Shares.Memory.Taken(); all != 0 {
			t.Errorf("got %d bytes kept by an idle origin, want none", all)
		}
	})
}
