package client

import (
	"testing"
	"time"
)

// All Clients of a process ask the system for its network together once in lookEvery.
func TestTheNetworkIsLookedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	w := whereabouts{name: "one", looked: time.Now()}
	if got := w.network(); got != "one" {
		t.Errorf("got %q at once, want what was found before", got)
	}
	for _, looked := range []time.Time{time.Now().Add(-lookEvery), time.Now().Add(time.Hour)} { // a clock that was set back
		w.name, w.looked = "one", looked
		if got, want := w.network(), networkName(); got != want {
			t.Errorf("got %q, want %q as the system says now", got, want)
		}
	}
}
