package carrier

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
)

// Streams that have become idle are worth a release where hardly any are busy, though they are few of all; a handful never is.
func TestWhatFewHaveLeftIsReleasedWhereNoMoreFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name   string
			idle   []int // of each sweep
			sweeps bool  // once more
			want   bool
		}{
			{"few, and no more", []int{fewIdle}, true, true},
			{"few, and more may follow", []int{fewIdle}, false, false},
			{"few, and as many have followed", []int{fewIdle - 1, fewIdle - 1}, false, false},
			{"many", []int{manyIdle}, false, true},
			{"hardly any", []int{fewIdle - 1}, true, false},
		} {
			group := tasks.NewGroup()
			s := NewSet(time.Now, group, false)
			for _, n := range c.idle {
				s.Sweep(time.Now())
				s.Release(n, 0, time.Now())
				time.Sleep(releaseEvery)
			}
			if c.sweeps {
				s.Sweep(time.Now())
				s.Release(0, 0, time.Now())
			}
			group.Wait()
			if got := !s.released.IsZero(); got != c.want {
				t.Errorf("%s: got a release %v, want %v", c.name, got, c.want)
			}
		}
	})
}
