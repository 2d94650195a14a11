package client

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/kept"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/wire"
)

// learner is a client of two fronts that keeps what it learns in dir.
func learner(t *testing.T, l *link.Link, dir string, log *bytes.Buffer) *Client {
	t.Helper()
	c, err := New(Config{Link: l, Keep: dir, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo}))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}

// in has c be in a network.
func (c *Client) in(name string) {
	c.learned.name = func() string { return name }
	c.lookAround()
}

func twoFronts() *link.Link {
	return &link.Link{Keys: seal.NewMaster().Client(7), Fronts: []link.Front{{Host: "one.example"}, {Host: "two.example"}}}
}

// What was learned of a network is known at the next start, and when the machine comes back to it; in
// another network all begins afresh.
func TestWhatIsLearnedIsOfOneNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l, dir := twoFronts(), filepath.Join(t.TempDir(), "culvert")
		c := learner(t, l, dir, &log)
		c.in("home")
		c.budgets.of(0).freeze(15_000, true)
		c.budgets.of(0).freeze(15_000, true)
		c.budgets.of(1).freeze(15_000, true) // suspected
		c.health.reached(1)
		c.cfg.Dialer.SetSmall(l.Fronts[0], true)
		limit := c.budgets.of(0).limit

		c.in("")
		if !c.budgets.isTight(0) {
			t.Error("out of all networks: what was learned is forgotten")
		}
		c.in("elsewhere")
		if c.budgets.isTight(0) || c.health.first() != 0 || c.cfg.Dialer.Small(l.Fronts[0]) {
			t.Error("in another network: what was learned at home is believed")
		}
		c.keepLearned()
		for name, c := range map[string]*Client{"back": c, "at the next start": learner(t, l, dir, &log)} {
			c.in("home")
			f := c.budgets.of(0)
			if f.limit != limit || !f.known || f.pause != triedAfter || !c.cfg.Dialer.Small(l.Fronts[0]) || c.health.first() != 1 {
				t.Errorf("%s: got %+v, front %d, want what was learned", name, f, c.health.first())
			}
			if c.budgets.isTight(1) {
				t.Errorf("%s: what was suspected alone is known", name)
			}
		}
		if log.Len() > 0 {
			t.Errorf("got %s, want nothing logged", &log)
		}
	})
}

// A file that is no good is ignored, and one line says so. So does one where none can be written.
func TestAFileThatIsNoGoodIsSaidOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l, dir := twoFronts(), t.TempDir()
		c := learner(t, l, dir, &log)
		c.in("home")
		c.health.reached(1)
		c.keepLearned()
		files, _ := filepath.Glob(filepath.Join(dir, "*"))
		if len(files) != 1 {
			t.Fatalf("got %v, want one file", files)
		}
		os.WriteFile(files[0], []byte("culvert learned 9\n"), 0o600)
		c = learner(t, l, dir, &log)
		c.in("home")
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "newer version") || c.health.first() != 0 {
			t.Errorf("got front %d and %q, want front 0 and one line", c.health.first(), &log)
		}
		log.Reset()
		c = learner(t, l, files[0], &log) // no directory
		log.Reset()
		c.in("home")
		c.health.reached(1)
		c.keepLearned()
		c.keepLearned()
		if n := strings.Count(log.String(), "\n"); n != 1 || strings.Contains(log.String(), dir) {
			t.Errorf("got %q, want one line without a path", &log)
		}
	})
}

// Of a file that is ours what is absurd is not believed, front by front: it may be of a program that had other bounds.
func TestAbsurdBudgetsAreNotBelieved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for what, k := range map[string]kept.Front{
			"nothing":              {},
			"less than any brings": {Limit: wire.LeastBudget - 1, Frozen: 15_000},
			"less than nothing":    {Limit: -15_000, Frozen: 15_000},
			"more than freezes":    {Limit: mostFreeze + 1, Frozen: mostFreeze + 1},
			"of 2 GB":              {Limit: 1 << 31, Frozen: 1 << 31},
			"no connection":        {Minute: -1},
			"too few":              {Minute: leastMinute - 1},
			"too many":             {Minute: mostMinute + 1},
		} {
			k.Pause, k.Until, k.MinutePause, k.MinuteUntil = -1<<62, 1<<62, 1<<62, -1<<62
			var b budgets
			b.recall(0, k)
			if left, _, areCounted := b.connections([]int{0}, true); b.isTight(0) || areCounted || left < mostMinute {
				t.Errorf("%s: got %+v believed", what, *b.of(0))
			}
		}
		for _, times := range []int64{-1 << 62, 0, 1 << 40, 1 << 62} {
			if pause, until := recallPause(believed, times, times); pause < 0 || pause > mostBelieved || time.Until(until) > pause {
				t.Errorf("%d: got a pause of %v until %v", times, pause, until)
			}
		}
	})
}

// Absurd times, as of a machine whose clock was another, are no reason to believe a budget for ever.
func TestAKeptBudgetEndsWhateverTheClockWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		b.of(0).freeze(15_000, true)
		b.of(0).freeze(15_000, true)
		k := b.known(0)
		k.Until = 1 << 40
		var after budgets
		after.recall(0, k)
		if left := time.Until(after.of(0).until); left > triedAfter {
			t.Errorf("it is believed for %v, want at most %v", left, triedAfter)
		}
		k.Limit = 1
		var none budgets
		if none.recall(0, k); none.isTight(0) {
			t.Error("a budget of nothing is believed")
		}
	})
}
