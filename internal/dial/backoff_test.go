package dial

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestABackoffDoublesFromItsFirstPauseToItsLimit(t *testing.T) {
	t.Parallel()
	b := Backoff{First: 50 * time.Millisecond, Limit: 150 * time.Millisecond, Chance: 20 * time.Millisecond}
	if got := b.Pause(); got >= 20*time.Millisecond {
		t.Errorf("got %v, want no pause before the first try again but what chance makes", got)
	}
	for i, around := range []time.Duration{50, 100, 150, 150} {
		around *= time.Millisecond
		if got := b.Pause(); got < around/2 || got >= around {
			t.Errorf("pause %d: got %v, want at least half of %v and less than all", i+2, got, around)
		}
	}
	b = Backoff{Limit: time.Second}
	for range 2 {
		if b.Pause() != 0 {
			t.Error("got a pause where there is to be none")
		}
	}
	if b = (Backoff{Next: time.Second}); b.Pause() != 0 {
		t.Error("got a pause without a limit that allows one")
	}
	b.Next = 150 * time.Millisecond
	if b.Limit = 20 * time.Millisecond; b.Pause() >= 20*time.Millisecond {
		t.Error("got a pause beyond a limit that was lowered")
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if !Sleep(ctx, time.Millisecond) || Sleep(ctx, time.Hour) || time.Since(began) != time.Second {
			t.Errorf("woke after %v, want the context's second", time.Since(began))
		}
	})
}
