package main

import "testing"

func TestOnlyAnEndThatWasAskedForIsNoFailure(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code     int
		wanted   bool
		specific bool
		told     uint32
	}{{0, true, false, 0}, {1, true, false, 0}, {0, false, true, 1}, {2, false, true, 2}} {
		if specific, told := endCode(c.code, c.wanted); specific != c.specific || told != c.told {
			t.Errorf("code %d, wanted %v: got %v and %d, want %v and %d", c.code, c.wanted, specific, told, c.specific, c.told)
		}
	}
}
