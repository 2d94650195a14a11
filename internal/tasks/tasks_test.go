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
