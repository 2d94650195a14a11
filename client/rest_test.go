package client

import (
	"testing"
	"time"
)

// After two cuts at about the same rest carriers are asked a little more often than that; of cuts at any time,
// after none; of such as were noticed by silence, more often still until none comes.
func TestARestIsLearnedFromTwoCuts(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		rests  []time.Duration
		silent bool
		want   time.Duration
	}{
		"one":                    {[]time.Duration{10 * s}, false, 0},
		"two":                    {[]time.Duration{10 * s, 10*s + 200*time.Millisecond}, false, 7500 * time.Millisecond},
		"two that do not agree":  {[]time.Duration{10 * s, 20 * s}, false, 0},
		"two of no rest":         {[]time.Duration{s, s}, false, 0},
		"two beyond all":         {[]time.Duration{2 * mostRest, 2 * mostRest}, false, 0},
		"a third that is sooner": {[]time.Duration{10 * s, 10 * s, 6 * s}, false, 4500 * time.Millisecond},
		"silence":                {[]time.Duration{25 * s, 25 * s}, true, 15 * s},
		"silence again":          {[]time.Duration{25 * s, 25 * s, 15 * s}, true, 9 * s},
	} {
		var r restLimit
		for _, rest := range c.rests {
			r.cut(rest, c.silent)
		}
		if got := r.keep(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// A rest that is outlived by half and more shows that none is cut, and one that a carrier had outlived before
// was not why it was silent.
func TestARestIsUnlearned(t *testing.T) {
	t.Parallel()
	var b budgets
	for range 2 {
		b.rested(0, 10*time.Second, 9700*time.Millisecond, true) // it had outlived about as much
	}
	if got := b.keepEvery(0); got != 0 {
		t.Errorf("got %v from rests that were outlived, want nothing learned", got)
	}
	for range 2 {
		b.rested(0, 10*time.Second, 5*time.Second, true)
	}
	if got := b.keepEvery(0); got == 0 {
		t.Error("nothing was learned from two cuts")
	}
	var after budgets
	if after.recall(0, b.known(0)); after.keepEvery(0) != b.keepEvery(0) {
		t.Errorf("got %v at a later start, want %v", after.keepEvery(0), b.keepEvery(0))
	}
	b.rested(0, 0, 16*time.Second, false)
	if got := b.keepEvery(0); got != 0 {
		t.Errorf("got %v after a rest of 16 s was outlived, want it forgotten", got)
	}
}
