package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errNo = errors.New("no")

func headStart(int) time.Duration { return 300 * time.Millisecond }

// attempt is what one choice of a race does: fails or succeeds after a while.
type attempt struct {
	takes time.Duration
	fails bool
	deaf  bool // to its context
}

func (a attempt) run(ctx context.Context, v int) (int, error) {
	done := ctx.Done()
	if a.deaf {
		done = nil
	}
	select {
	case <-done:
		return 0, ctx.Err()
	case <-time.After(a.takes):
	}
	if a.fails {
		return 0, errNo
	}
	return v, nil
}

// from counts to n from first on, and then from 0 to first.
func from(first, n int) (all []int) {
	for i := range n {
		all = append(all, (first+i)%n)
	}
	return all
}

func TestRace(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	never := attempt{takes: time.Hour}
	for _, c := range []struct {
		name    string
		all     []attempt
		first   int
		want    int // -1: none
		after   time.Duration
		dropped []int
	}{
		{"the preferred one wins alone", []attempt{{takes: 0}, {takes: 100 * ms}}, 1, 1, 100 * ms, nil},
		{"the next starts after the stagger", []attempt{never, {takes: 50 * ms}}, 0, 1, 350 * ms, nil},
		{"the next starts at once after a failure", []attempt{{takes: 10 * ms, fails: true}, {takes: 5 * ms}}, 0, 1, 15 * ms, nil},
		{"after a failure the stagger begins anew", []attempt{{takes: 10 * ms, fails: true}, never, {takes: 0}}, 0, 2, 310 * ms, nil},
		{"an early one may still win", []attempt{{takes: 400 * ms}, never}, 0, 0, 400 * ms, nil},
		{"a loser that succeeds is dropped", []attempt{{takes: 500 * ms, deaf: true}, {takes: 50 * ms}}, 0, 1, 500 * ms, []int{0}},
		{"all fail", []attempt{{fails: true}, {fails: true}, {takes: 10 * ms, fails: true}}, 2, -1, 10 * ms, nil},
		{"no choices", nil, 0, -1, 0, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			var dropped []int
			v, i, err := Race(t.Context(), from(c.first, len(c.all)), headStart, func(ctx context.Context, i int) (int, error) {
				return c.all[i].run(ctx, i)
			}, func(v int) { dropped = append(dropped, v) })
			if (err == nil) != (c.want >= 0) || err == nil && (i != c.want || v != i) {
				t.Errorf("%s: got %d, %d, %v; want %d", c.name, v, i, err, c.want)
			}
			if took := time.Since(start); took != c.after {
				t.Errorf("%s: took %v, want %v", c.name, took, c.after)
			}
			if !slices.Equal(dropped, c.dropped) {
				t.Errorf("%s: dropped %v, want %v", c.name, dropped, c.dropped)
			}
		})
	}
}

func TestRaceEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var started atomic.Int32
		start := time.Now()
		_, _, err := Race(ctx, from(0, 9), headStart, func(ctx context.Context, i int) (int, error) {
			started.Add(1)
			return attempt{takes: time.Hour}.run(ctx, i)
		}, func(int) {})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second || started.Load() != 4 {
			t.Errorf("got %v after %v with %d started; want the deadline, a second, 4", err, time.Since(start), started.Load())
		}
	})
}

// An address that is given, as one that was good before is, is connected to without what lookups need; what fails there
// falls back on the names of later groups.
func TestOnlyLookupsHaveWhatLookupsNeed(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, c := range map[string]struct {
		fails bool
		asks  bool
	}{"it answers": {}, "it fails": {fails: true, asks: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := Hosts{
				Lookup: func(context.Context, string, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddr("192.0.2.2")}, nil
				},
				Connect: func(_ context.Context, a netip.AddrPort) (net.Conn, error) {
					if c.fails && a.Addr() == netip.MustParseAddr("192.0.2.1") {
						return nil, refused
					}
					near, _ := net.Pipe()
					return near, nil
				},
				Patience: time.Minute,
			}
			s := h.search(t.Context(), []Group{{Endpoints: []Endpoint{{"192.0.2.1", 443}}}, {After: time.Hour, Endpoints: []Endpoint{{"example.org", 443}}}})
			defer s.finish()
			conn, _, err := s.connectNext(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if got := s.answers != nil; got != c.asks {
				t.Errorf("got room for answers %v, want %v", got, c.asks)
			}
		})
	}
}
