package tasks

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitReturnsWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g, began := NewGroup(), time.Now()
		var ran atomic.Int64
		g.Go(func() {
			time.Sleep(time.Second)
			g.Go(func() { time.Sleep(time.Second); ran.Add(1) })
		})
		g.AfterFunc(3*time.Second, func() { time.Sleep(time.Second); ran.Add(1) })
		g.AfterFunc(time.Hour, func() { t.Error("called, want it stopped") }).Stop()
		again := g.AfterFunc(time.Millisecond, func() { ran.Add(1) })
		time.Sleep(time.Second)
		again.Reset(time.Hour)
		again.Reset(time.Second)
		g.Wait()
		if took := time.Since(began); took != 4*time.Second || ran.Load() != 4 {
			t.Errorf("got %d run after %v, want 4 after 4s", ran.Load(), took)
		}
		again.Reset(time.Second)
		if g.Go(func() {}) || !g.AfterFunc(0, func() {}).IsZero() {
			t.Error("got something run after Wait, want it refused")
		}
		g.Wait()
	})
}

func TestAGroupIsGivenMoreWhileItIsWaitedFor(t *testing.T) {
	t.Parallel()
	for range 200 {
		g := NewGroup()
		var ran, taken atomic.Int64
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 20 {
					if g.Go(func() { ran.Add(1) }) {
						taken.Add(1)
					}
				}
			})
		}
		g.Wait()
		all.Wait()
		if ran.Load() != taken.Load() {
			t.Fatalf("got %d run, want all %d that were taken", ran.Load(), taken.Load())
		}
	}
}

// What is brief goes on in a goroutine that ran something brief before, if one waits; those that wait are few, end with
// the group, and do so by themselves where nothing comes.
func TestWhatIsBriefUsesFewGoroutinesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const mostWarm = 8
		g := NewGroup()
		g.KeepWarm(mostWarm)
		run := func(n int) (started int) { // how many more goroutines than waited
			waited := int(g.waiting.Load())
			hold := make(chan struct{})
			for range n {
				if !g.Brief(func() { <-hold }) {
					t.Error("got it refused before Wait")
				}
			}
			synctest.Wait()
			taken := waited - int(g.waiting.Load())
			close(hold)
			synctest.Wait()
			return n - taken
		}
		if got := run(3 * mostWarm); got != 3*mostWarm {
			t.Errorf("got %d goroutines for %d at once, want as many", got, 3*mostWarm)
		}
		if got := g.waiting.Load(); got != mostWarm {
			t.Errorf("got %d that wait, want %d", got, mostWarm)
		}
		for range 5 {
			if got := run(mostWarm); got != 0 {
				t.Errorf("got %d new goroutines while %d wait, want none", got, mostWarm)
			}
		}
		if got := run(mostWarm + 2); got != 2 {
			t.Errorf("got %d new goroutines for 2 more than wait, want 2", got)
		}
		time.Sleep(stayWarm)
		synctest.Wait()
		if got := g.waiting.Load(); got != 0 {
			t.Errorf("got %d that wait after %v of nothing, want none", got, stayWarm)
		}
		run(1)
		g.Wait()
		synctest.Wait()
		if got := g.waiting.Load(); got != 0 {
			t.Errorf("got %d that wait after Wait, want none", got)
		}
		if g.Brief(func() {}) {
			t.Error("got something brief run after Wait, want it refused")
		}
	})
}
