package origin

import (
	"testing"
	"time"

	"culvert/internal/carrier"
)

// A first flight may be a copy. It costs some dials and is charged to nobody, and the
// user is charged with what is left of it when the carrier has proved itself.
func TestAFirstFlightIsChargedWhenItsCarrierHasProvedItself(t *testing.T) {
	t.Parallel()
	charged := newUserCounts()
	e := newEarlyTunnels(charged)
	c := &carrier.Carrier{User: 7}
	for id := range uint32(maxEarly) {
		if !e.add(c, tunnelKey{number: id}, time.Now()) {
			t.Fatalf("tunnel %d is refused", id)
		}
	}
	if e.add(c, tunnelKey{number: 100}, time.Now()) {
		t.Errorf("got more than %d tunnels of one first flight", maxEarly)
	}
	if !e.remove(tunnelKey{number: 0}) || e.remove(tunnelKey{number: 0}) {
		t.Error("a tunnel that ended early is not uncharged once")
	}
	if n := charged.len(7); n != 0 {
		t.Errorf("got %d tunnels charged before the carrier has proved itself, want none", n)
	}
	e.proved(c)
	if n := charged.len(7); n != maxEarly-1 {
		t.Errorf("got %d tunnels charged, want the %d that live", n, maxEarly-1)
	}
	if e.remove(tunnelKey{number: 1}) || len(e.by)+len(e.of) != 0 {
		t.Error("what was charged is still remembered as early")
	}
}

// First flights are bounded apart from what a user's proved carriers open.
func TestAUsersFirstFlightsAreBounded(t *testing.T) {
	t.Parallel()
	e, now, begun := newEarlyTunnels(newUserCounts()), time.Unix(1_800_000_000, 0), 0
	for range 2 * earlyBurst {
		if e.add(&carrier.Carrier{User: 7}, tunnelKey{number: uint32(begun)}, now) {
			begun++
		}
	}
	if begun != earlyBurst {
		t.Errorf("got %d tunnels at once, want %d", begun, earlyBurst)
	}
	if !e.add(&carrier.Carrier{User: 8}, tunnelKey{}, now) {
		t.Error("another user is refused")
	}
}
