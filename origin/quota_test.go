package origin

import (
	"testing"
	"time"
)

// One user may open many tunnels at once and some for ever, and never so many
// that the handshakes of two minutes fill what is remembered for all.
func TestOneUserCannotFillWhatIsRememberedForAll(t *testing.T) {
	t.Parallel()
	var r rates
	now := time.Unix(1_800_000_000, 0)
	opened := 0
	for range 240 { // seconds
		for range 4000 {
			if r.allow(1, now) {
				opened++
			}
		}
		now = now.Add(time.Second)
	}
	if opened < openBurst+200*openRate || opened > 1<<17 {
		t.Errorf("got %d tunnels in four minutes, want the burst, the rate and not half of 2^18", opened)
	}
	if !r.allow(2, now) {
		t.Error("another user is refused")
	}
}

func TestUsersAtRestAreForgotten(t *testing.T) {
	t.Parallel()
	var r rates
	now := time.Unix(1_800_000_000, 0)
	for user := range uint32(3 * maxRates) {
		now = now.Add(10 * time.Millisecond)
		if !r.allow(user, now) {
			t.Fatalf("user %d is refused", user)
		}
	}
	if len(r.by) > maxRates {
		t.Errorf("got %d users remembered, want %d at most", len(r.by), maxRates)
	}
}
