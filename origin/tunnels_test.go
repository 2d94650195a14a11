package origin

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/seal"
)

// Two carriers that bring the same Open at once start one handshake, and both
// are answered.
func TestAnOpenThatComesTwiceStartsOneHandshake(t *testing.T) {
	t.Parallel()
	var p pending
	for id := range 2000 {
		var begun atomic.Int32
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if p.begin(1, &carrier.Carrier{User: 7}) {
					begun.Add(1)
				}
			})
		}
		both.Wait()
		if begun.Load() != 1 {
			t.Fatalf("round %d: got %d handshakes, want 1", id, begun.Load())
		}
		if got := len(p.end(1)); got != 2 {
			t.Fatalf("got %d carriers to answer by, want both", got)
		}
	}
	if !p.begin(2, &carrier.Carrier{User: 7}) || p.begin(2, &carrier.Carrier{User: 8}) || len(p.end(2)) != 1 {
		t.Error("another user's Open took part")
	}
}

// A client that brings one Open by ever more carriers has the latest answered.
func TestAPendingOpenRemembersTheLatestCarriers(t *testing.T) {
	t.Parallel()
	var p pending
	last := new(carrier.Carrier)
	for range 10 * maxBrought {
		last = new(carrier.Carrier)
		p.begin(1, last)
		p.begin(1, last)
	}
	if by := p.end(1); len(by) != maxBrought || by[maxBrought-1] != last {
		t.Errorf("got %d carriers, want the latest %d, each once", len(by), maxBrought)
	}
}

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
