package carrier

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
)

// Carriers that have become idle are worth a release where no more follow, though they are few of all; one alone never is.
func TestWhatFewHaveLeftIsReleasedWhereNoMoreFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name string
			idle []int // since the sweep before
			want bool
		}{
			{"few, and no more", []int{fewIdle, 0}, true},
			{"few, and more", []int{fewIdle, 1}, false},
			{"many", []int{manyIdle}, true},
			{"hardly any", []int{fewIdle - 1, 0}, false},
		} {
			group := tasks.NewGroup()
			s := NewSet(time.Now, group, false)
			for _, n := range c.idle {
				s.Sweep(time.Now())
				s.Release(n, 0, time.Now())
				time.Sleep(releaseEvery)
			}
			s.Sweep(time.Now())
			s.Release(0, 0, time.Now())
			group.Wait()
			if got := s.took.Load() > 0 || s.released != (time.Time{}); got != c.want {
				t.Errorf("%s: got a release %v, want %v", c.name, got, c.want)
			}
		}
	})
}
