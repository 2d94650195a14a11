package client

import (
	"testing"
	"time"
)

func TestAFrontMovesItsOwnTokensTimeByADay(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	built := start.Add(-time.Hour)
	for name, test := range map[string]struct {
		date, machine time.Time
		want          bool
	}{
		"minutes":            {start.Add(10 * time.Minute), start, true},
		"a day":              {start.Add(MaxOffset), start, true},
		"more than a day":    {start.Add(MaxOffset + time.Second), start, false},
		"nothing":            {start.Add(time.Second), start, false},
		"before the program": {built.Add(-time.Second), start, false},
		"a machine of 1970":  {start, time.Unix(0, 0), true},
	} {
		var c Clock
		if got := c.Learn(test.date, test.machine, built); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
		if test.want && !c.Now(test.machine).Equal(test.date) {
			t.Errorf("%s: the clock shows %v", name, c.Now(test.machine))
		}
		if c.Learn(test.date, test.machine, built) {
			t.Errorf("%s: learns the same twice", name)
		}
	}
}
