package client

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestTheProtocolsTextHoldsTheFrontsOffset(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../internal/wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("| FrontOffset | %.0f s |", FrontOffset.Seconds()); !strings.Contains(string(text), want) {
		t.Errorf("PROTOCOL.md lacks %q", want)
	}
}

func TestAFrontMovesItsOwnTokensTimeByADay(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	built := start.Add(-time.Hour)
	for name, test := range map[string]struct {
		date, machine time.Time
		want          bool
	}{
		"minutes":            {start.Add(10 * time.Minute), start, true},
		"a day":              {start.Add(FrontOffset), start, true},
		"more than a day":    {start.Add(FrontOffset + time.Second), start, false},
		"nothing":            {start.Add(time.Second), start, false},
		"before the program": {built.Add(-time.Second), start, false},
		"a machine of 1970":  {start, time.Unix(0, 0), true},
	} {
		c := frontClock{built: built}
		if got := c.Learn(test.date, test.machine); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
		if test.want && !c.read(test.machine).Equal(test.date) {
			t.Errorf("%s: the clock shows %v", name, c.read(test.machine))
		}
		if c.Learn(test.date, test.machine) {
			t.Errorf("%s: learns the same twice", name)
		}
		if later := start.Add(time.Minute); c.read(later).Sub(later).Abs() > FrontOffset {
			t.Errorf("%s: the clock shows %v when the machine's was set", name, c.read(later))
		}
	}
}
