package origin

import (
	"sync"
	"sync/atomic"
	"testing"

	"culvert/internal/relay"
)

// Two carriers that bring the same Open at once start one handshake, and the
// one that brought it last is there to be answered.
func TestAnOpenThatComesTwiceStartsOneHandshake(t *testing.T) {
	t.Parallel()
	var p pending
	for id := range 2000 {
		var begun atomic.Int32
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if p.begin(1, &relay.Carrier{User: 7}) {
					begun.Add(1)
				}
			})
		}
		both.Wait()
		if begun.Load() != 1 {
			t.Fatalf("round %d: got %d handshakes, want 1", id, begun.Load())
		}
		if p.done(1) == nil {
			t.Fatal("got no carrier to answer by")
		}
	}
	if !p.begin(2, &relay.Carrier{User: 7}) || p.begin(2, &relay.Carrier{User: 8}) || p.done(2).User != 7 {
		t.Error("another user's Open took the place of the first")
	}
}
