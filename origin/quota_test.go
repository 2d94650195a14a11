package origin

import (
	"testing"
	"time"
)

// One user may open many tunnels at once and some for ever, and never so many that
// others wait for the dials.
func TestAUserOpensTunnelsAtARate(t *testing.T) {
	t.Parallel()
	r := newRates(openRate, openBurst)
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
	if least, most := openBurst+200*openRate, openBurst+240*openRate; opened < least || opened > most {
		t.Errorf("got %d tunnels in four minutes, want %d to %d: the burst and the rate", opened, least, most)
	}
	if !r.allow(2, now) {
		t.Error("another user is refused")
	}
}

func TestUsersAtRestAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRates(openRate, openBurst)
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
