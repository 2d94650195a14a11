package e2e

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"culvert/test/emulator"
)

// oneIn says yes once in every n times, at a random one, and counts that.
func oneIn(n int64, count *atomic.Int64) func() bool {
	var asked atomic.Int64
	at := rand.N(n)
	return func() bool {
		if asked.Add(1)%n != at {
			return false
		}
		count.Add(1)
		return true
	}
}

// API Gateway and Lambda at their worst: messages overtake one another by up to
// 195 ms with 50 of them on their way, a tenth comes twice, functions are killed
// at work, connections end at random.
func TestEveryByteArrivesOnceAndInOrderThroughTheGatewayDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var kills, cuts, twice atomic.Int64
	dies := oneIn(70, &kills)
	a := w.api(apiOptions{
		gateway: emulator.Options{MaxInFlight: 50, Faults: emulator.Faults{
			Latency:   func() time.Duration { return 5*time.Millisecond + rand.N(195*time.Millisecond) },
			Duplicate: oneIn(10, &twice),
			Cut:       oneIn(170, &cuts),
		}},
		function: emulator.Settings{Kill: func() (time.Duration, bool) { return rand.N(time.Millisecond), dies() }},
	})
	n := w.clientBy(1, a.front(w)).ready()
	total := size(8<<20, 64<<20)
	chats := n.pings(t, patience)
	began := time.Now()
	if err := n.order(order{Do: exchange, Seed: 1, Up: total, Down: total}); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	t.Logf("%d MB each way in %v; %d functions killed, %d connections cut, %d messages twice; longest wait of chat %v",
		total>>20, took.Round(time.Millisecond), kills.Load(), cuts.Load(), twice.Load(), chats().Round(time.Millisecond))
	if kills.Load() == 0 || cuts.Load() == 0 || twice.Load() < 10 {
		t.Errorf("got %d kills, %d cuts and %d messages twice, want some", kills.Load(), cuts.Load(), twice.Load())
	}
	checkEnds(t, n)
}
