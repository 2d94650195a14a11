package origin

import "testing"

func TestAUserWhoTakesNothingLeavesRoomForOthers(t *testing.T) {
	t.Parallel()
	var w waiting
	taken := int64(0)
	for w.add(1, 1<<20) {
		taken++
	}
	if !w.add(2, 1<<20) || taken != maxUserWaiting>>20 {
		t.Errorf("got %d MiB of one user taken and another refused, want %d MiB and room", taken, maxUserWaiting>>20)
	}
	w.add(1, -(taken+1)<<20)
	w.add(2, -1<<20)
	if w.all != 0 || len(w.by) != 0 {
		t.Errorf("got %d bytes of %d users left, want none", w.all, len(w.by))
	}
}
