package network

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// arrivals takes packets and notes when they come.
type arrivals struct {
	at    []time.Time
	bytes int
}

func (a *arrivals) Write(b []byte) (int, error) {
	a.at = append(a.at, time.Now())
	a.bytes += len(b)
	return len(b), nil
}

// piped sends packets of 1,500 bytes, one each pause, and waits for d in all.
func piped(t *testing.T, r Rate, delay, pause, d time.Duration, packets int) (a *arrivals, dropped int) {
	a = new(arrivals)
	p, stop, done := newPipe(a), make(chan struct{}), make(chan struct{})
	go func() { defer close(done); p.run(stop) }()
	end := time.NewTimer(d)
	for range packets {
		if !p.send(make([]byte, 1500), r, delay, time.Now()) {
			dropped++
		}
		time.Sleep(pause)
	}
	<-end.C
	close(stop)
	<-done
	return a, dropped
}

func TestAPipeDelaysEachPacketAlike(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a, _ := piped(t, Rate{}, 75*time.Millisecond, 10*time.Millisecond, time.Second, 50)
		for i, at := range a.at {
			if got, want := at.Sub(began), 75*time.Millisecond+time.Duration(i)*10*time.Millisecond; got != want {
				t.Errorf("packet %d: got %v, want %v", i, got, want)
			}
		}
		if len(a.at) != 50 {
			t.Errorf("got %d packets, want 50", len(a.at))
		}
	})
}

func TestAPipeSendsAtItsRateAndDropsWhatItsQueueCannotHold(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]Rate{"64 kbit/s": {64_000, 3 * time.Second}, "20 Mbit/s": {20_000_000, time.Second / 10}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const span = 10 * time.Second
				each := 1500 * 8 * time.Second / time.Duration(r.Bits)
				packets := int(span / each * 2) // twice of what the rate allows
				began := time.Now()
				a, dropped := piped(t, r, 150*time.Millisecond, each/2, span+2*r.Queue+time.Second, packets)
				took := a.at[len(a.at)-1].Sub(began) - 150*time.Millisecond
				if got := float64(a.bytes) * 8 / took.Seconds(); math.Abs(got/float64(r.Bits)-1) > .01 {
					t.Errorf("got %.0f bit/s, want %d", got, r.Bits)
				}
				want := packets/2 - int(r.Queue/each)
				if math.Abs(float64(dropped-want)) > 2 {
					t.Errorf("got %d packets dropped, want %d: half of them, but for a queue", dropped, want)
				}
			})
		})
	}
}
