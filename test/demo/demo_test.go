package demo

import (
	"testing"
	"time"
)

func TestAPercentileIsOneOfTheTimes(t *testing.T) {
	t.Parallel()
	all := []time.Duration{5, 1, 4, 2, 3}
	for p, want := range map[int]time.Duration{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := percentile(all, p); got != want {
			t.Errorf("%d: got %d, want %d", p, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("got %d, want 0 of nothing", got)
	}
}
