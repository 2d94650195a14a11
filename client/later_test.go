package client

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
)

// listOf is one of that version that holds for a day.
func listOf(version uint32, withdrawn []string, hosts ...string) *link.List {
	l := &link.List{Version: version, Expires: time.Unix(int64(version), 0).Add(24 * time.Hour)}
	for _, h := range hosts {
		l.Fronts = append(l.Fronts, link.Front{Host: h, Path: "/"})
	}
	for _, h := range withdrawn {
		l.Withdrawn = append(l.Withdrawn, link.WithdrawalOf(h))
	}
	return l
}

func TestAListSaysInWhichOrderFrontsAreTried(t *testing.T) {
	t.Parallel()
	l := &link.Link{Fronts: []link.Front{{Host: "one.example", Path: "/"}, {Host: "two.example", Path: "/"}, {Host: "10.0.0.1", Path: "/"}}}
	for name, c := range map[string]struct {
		list    *link.List
		isOlder bool
		want    string
	}{
		"new ones come first":           {listOf(1, nil, "new.example", "newer.example"), false, "new.example newer.example one.example two.example 10.0.0.1"},
		"the link's own may be among":   {listOf(1, nil, "two.example", "new.example"), false, "two.example new.example one.example 10.0.0.1"},
		"withdrawn ones are gone":       {listOf(1, []string{"one.example"}, "new.example"), false, "new.example two.example 10.0.0.1"},
		"nothing new":                   {listOf(1, []string{"one.example"}), false, "two.example 10.0.0.1"},
		"one is left at least":          {listOf(1, []string{"one.example", "two.example", "10.0.0.1"}), false, "one.example two.example 10.0.0.1"},
		"of those that may be dialled":  {listOf(1, []string{"one.example", "two.example", "10.0.0.1"}, "127.0.0.1"), false, "one.example two.example 10.0.0.1"},
		"private ones are left out":     {listOf(1, nil, "192.168.1.1", "[::1]", "[fe80::1]", "169.254.1.1", "8.8.8.8"), false, "8.8.8.8 one.example two.example 10.0.0.1"},
		"and names of networks":         {listOf(1, nil, "router", "nas.local", "a.home.arpa", "x.localhost", "local.example"), false, "local.example one.example two.example 10.0.0.1"},
		"but for the link's own":        {listOf(1, nil, "10.0.0.1:8443"), false, "10.0.0.1:8443 one.example two.example 10.0.0.1"},
		"a newer link's own come first": {listOf(1, []string{"one.example"}, "new.example"), true, "one.example two.example 10.0.0.1 new.example"},
	} {
		f := newFronts(l, func() time.Time { return time.Unix(1, 0) })
		if err := f.take(c.list, c.isOlder); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, i := range f.inOrder() {
			got = append(got, f.at(i).Host)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%s: got %s, want %s", name, s, c.want)
		}
		if again := f.at(0).Host; again != "one.example" {
			t.Errorf("%s: front 0 is %s, want the link's first as before", name, again)
		}
	}
}

func TestAListHoldsUntilItExpiresOrANewerOneComes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := newFronts(twoFronts(), func() time.Time { return now })
	for _, c := range []struct {
		version uint32
		isOlder bool
		want    error
		known   uint32
	}{
		{5000, false, nil, 5000}, // the clock is late: a list is no proof of that, and holds
		{4999, false, errListOlder, 5000},
		{5000, false, errListOlder, 5000},
		{5001, true, nil, 0}, // kept beside another link: it is to come again
		{5000, false, errListOlder, 0},
		{5001, false, nil, 5001},
	} {
		if err := f.take(listOf(c.version, nil, "new.example"), c.isOlder); err != c.want || f.known() != c.known {
			t.Errorf("%d: got %v, and %d is known, want %v and %d", c.version, err, f.known(), c.want, c.known)
		}
	}
	if got := f.inOrder(); !slices.Equal(got, []int{2, 0, 1}) {
		t.Errorf("got %v", got)
	}
	now = time.Unix(5001, 0).Add(24 * time.Hour)
	if got, known := f.inOrder(), f.known(); !slices.Equal(got, []int{0, 1}) || known != 5001 {
		t.Errorf("expired: got %v, and %d is known", got, known)
	}
	if !f.isGone(2) || f.isGone(1) {
		t.Error("what came by a list that has expired is used")
	}
	late := listOf(5002, nil, "new.example")
	late.Expires = now
	if err := f.take(late, false); err != errListExpired {
		t.Errorf("got %v, want %v", err, errListExpired)
	}
}

// However many lists come, the fronts that are known are bounded.
func TestTheFrontsThatAreKnownAreBounded(t *testing.T) {
	t.Parallel()
	f := newFronts(twoFronts(), func() time.Time { return time.Unix(1, 0) })
	for v := range uint32(maxFronts) {
		f.take(listOf(v+1, nil, fmt.Sprintf("a%d.example", v), fmt.Sprintf("b%d.example", v)), false)
	}
	if got := len(f.all); got != maxFronts {
		t.Errorf("got %d, want %d", got, maxFronts)
	}
}

// What is wrong with lists is said once, without a name in it, and the client goes on with what it has.
func TestABadListIsIgnoredWithOneLine(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	dir := filepath.Join(t.TempDir(), "state")
	l := &link.Link{Keys: m.Client(7), Fronts: []link.Front{{Host: "one.example", Path: "/"}}}
	var log bytes.Buffer
	make := func() *Client {
		c, err := New(Config{Link: l, Keep: dir, Now: func() time.Time { return time.Unix(1000, 0) },
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.stop)
		return c
	}
	sign := func(l *link.List, m seal.Master) []byte {
		b, err := l.Sign(m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	c := make()
	good := sign(listOf(1000, nil, "new.example"), m)
	c.onFronts(good)
	c.tasks.Wait()
	for range 3 {
		for _, bad := range [][]byte{nil, []byte("x"), good[:len(good)-1], sign(listOf(2000, nil, "evil.example"), seal.NewMaster()), sign(listOf(900, nil, "old.example"), m)} {
			c.onFronts(bad)
		}
	}
	if got := c.fronts.known(); got != 1000 {
		t.Errorf("list %d is known, want 1000", got)
	}
	if got := strings.Count(log.String(), "a list of fronts is ignored"); got != 3 || strings.Contains(log.String(), ".example") {
		t.Errorf("got %s, want a line for each of three reasons, and no names", &log)
	}
	log.Reset()
	if later, err := ReadLater(l, dir, time.Unix(1000, 0)); err != nil || len(later.Fronts) != 1 || later.Fronts[0].Host != "new.example" || len(later.Withdrawn) > 0 {
		t.Errorf("got %+v, %v, want what was kept", later, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("got %d files, %v", len(entries), err)
	}
	os.WriteFile(filepath.Join(dir, entries[0].Name()), []byte("rubbish"), 0o600)
	if got := make().fronts.known(); got != 0 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("rubbish that was kept: list %d is known, and the log is %s", got, &log)
	}
}

// A newer list is tried from its first front on, if that did not come first before: otherwise what works is not
// forgotten.
func TestAListThatPutsNothingNewFirstForgetsNothing(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	l := &link.Link{Keys: m.Client(7), Fronts: []link.Front{{Host: "one.example", Path: "/"}, {Host: "two.example", Path: "/"}}}
	c, err := New(Config{Link: l, Now: func() time.Time { return time.Unix(1000, 0) }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.stop()
	take := func(version uint32, hosts ...string) {
		b, err := listOf(version, nil, hosts...).Sign(m)
		if err != nil {
			t.Fatal(err)
		}
		c.onFronts(b)
	}
	take(1000, "new.example", "newer.example")
	if got := c.health.first(); c.fronts.at(got).Host != "new.example" {
		t.Errorf("got front %d first, want that of the list", got)
	}
	c.health.reached(1)
	take(1001, "new.example", "newest.example")
	if got := c.health.first(); got != 1 {
		t.Errorf("got front %d first, want the one that works", got)
	}
	take(1002, "newest.example", "new.example")
	if got := c.health.first(); c.fronts.at(got).Host != "newest.example" {
		t.Errorf("got front %d first, want the one that the list now puts first", got)
	}
}

// A list that could not be written is written at the end.
func TestAListThatWasNotKeptIsTriedAgain(t *testing.T) {
	t.Parallel()
	m := seal.NewMaster()
	dir := filepath.Join(t.TempDir(), "state")
	os.WriteFile(dir, nil, 0o600) // no directory can be made there
	l := &link.Link{Keys: m.Client(7), Fronts: []link.Front{{Host: "one.example", Path: "/"}}}
	c, err := New(Config{Link: l, Keep: dir, Now: func() time.Time { return time.Unix(1000, 0) }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := listOf(1000, nil, "new.example").Sign(m)
	if err != nil {
		t.Fatal(err)
	}
	c.onFronts(b)
	c.tasks.Wait()
	os.Remove(dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
	if later, err := ReadLater(l, dir, time.Unix(1000, 0)); err != nil || len(later.Fronts) != 1 {
		t.Errorf("got %+v, %v, want the list", later, err)
	}
}
