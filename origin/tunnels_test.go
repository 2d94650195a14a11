package origin

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/seal"
	"culvert/internal/tasks"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// A dial that takes a second to notice that it is not wanted any more is waited for.
func TestCloseWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newTestOrigin(t, seal.NewMaster())
		var ended atomic.Bool
		o.tasks.Go(func() {
			<-o.ctx.Done()
			time.Sleep(time.Second)
			ended.Store(true)
		})
		if o.Close(); !ended.Load() {
			t.Error("got a Close that did not wait")
		}
		if o.tasks.Go(func() { t.Error("got work begun after Close") }); o.Close() != nil {
			t.Error("got an error of a second Close")
		}
	})
}

// A tunnel that has lost its place before it has begun ends as it begins.
func TestATunnelThatLostItsPlaceBeforeItBeganEnds(t *testing.T) {
	t.Parallel()
	table := tunnel.NewTable(tunnel.Events{}, tunnel.NewWindows(0), true)
	defer table.Close()
	mine, app := net.Pipe()
	defer app.Close()
	begun, ok := table.StartTunnel(wire.Service{Kind: wire.Chat}, nil, mine)
	if !ok {
		t.Fatal("got no tunnel")
	}
	by := tasks.NewGroup()
	e, key := newEarlyTunnels(1, by), tunnelKey{nil, 1}
	e.of[key] = &earlyTunnel{leave: func() {}}
	e.displace(key)
	if e.began(key, begun); !begun.IsOver() {
		t.Error("got it running on without a place")
	}
	by.Wait()
}
