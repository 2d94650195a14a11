package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"culvert/client"
)

// watchers are what a test's watcher is asked.
type told struct {
	status client.Status
	moved  traffic
}

func (s *told) watcher(out *console) *watcher {
	return &watcher{out: out, fronts: 2,
		status: func() client.Status { return s.status }, traffic: func() traffic { return s.moved }}
}

var begin = time.Unix(1_800_000_000, 0)

func TestOnATerminalTheStatusIsRedrawn(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{Connected: true, Front: 1, RTT: 42 * time.Millisecond, Carriers: 2, Tunnels: 12}}
	w := s.watcher(&console{w: &b, live: true})
	w.connected, w.lastAt, w.said = true, begin, begin
	s.moved = traffic{up: 268_000, down: 1_200_000}
	w.update(begin.Add(time.Second))
	want := eraseLine + "✓ connected by front 2, 42 ms, 12 open, up 268 kB (268 kB/s)"
	if got := b.String(); !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line that begins with %q", got, want)
	}
	before := b.Len()
	w.update(begin.Add(2 * time.Second))
	if got := b.String()[before:]; !strings.HasPrefix(got, eraseLine) || strings.Contains(got, "/s") {
		t.Errorf("got %q, want the line again, without a rate", got)
	}
	before = b.Len()
	w.update(begin.Add(3 * time.Second))
	if got := b.String()[before:]; got != "" {
		t.Errorf("got %q, want nothing: nothing changed", got)
	}
}

func TestALineAboveLeavesTheStatusBelow(t *testing.T) {
	t.Parallel()
	var b, log bytes.Buffer
	out := &console{w: &b, live: true}
	out.show("status")
	out.Write([]byte("line\n"))
	neighbour{out, &log}.Write([]byte("log\n"))
	out.show("")
	want := eraseLine + "status" + eraseLine + "line\nstatus" + eraseLine + "status" + eraseLine
	if got := b.String(); got != want || log.String() != "log\n" {
		t.Errorf("got %q and %q, want %q and a line of log", got, log.String(), want)
	}
}

func TestALostConnectionIsSaidOnce(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{LastError: errors.New("front 1: no answer\nfront 2: refused")}}
	w := s.watcher(&console{w: &b})
	w.connected, w.said = true, begin
	w.update(begin)
	w.update(begin.Add(time.Second))
	want := "not connected, trying again: front 1: no answer; front 2: refused, 0 open, up 0 B, down 0 B, 0 carriers\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s.status = client.Status{Connected: true}
	w.update(begin.Add(2 * time.Second))
	if got := b.String(); !strings.HasSuffix(got, "connected by front 1, 0 open, up 0 B, down 0 B, 0 carriers\n") {
		t.Errorf("got %q, want that it is connected again", got)
	}
}

func TestWithoutATerminalALineComesOnceAMinute(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{Connected: true}}
	w := s.watcher(&console{w: &b})
	w.connected, w.said = true, begin
	for i := range 150 {
		w.update(begin.Add(time.Duration(i) * time.Second))
	}
	if got := strings.Count(b.String(), "\n"); got != 2 || strings.Contains(b.String(), "\x1b") {
		t.Errorf("got %q, want 2 plain lines", b.String())
	}
}

func TestTheStatusFitsTheTerminal(t *testing.T) {
	t.Parallel()
	s := &told{status: client.Status{Connected: true, RTT: time.Second, Tunnels: 12_345, Carriers: 5}}
	s.moved = traffic{1 << 40, 1 << 50}
	var b bytes.Buffer
	w := s.watcher(&console{w: &b, live: true}) // no terminal: 79 columns
	w.connected, w.lastAt = true, begin
	w.update(begin.Add(time.Second))
	if got := strings.TrimPrefix(b.String(), eraseLine); len([]rune(got)) > 79 {
		t.Errorf("got %d columns, want at most 79: %q", len([]rune(got)), got)
	}
}

func TestFiguresAreForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 70 * time.Microsecond: "0.07 ms", 2345 * time.Microsecond: "2.3 ms", 45 * time.Millisecond: "45 ms",
		1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1m30s", -1: "–",
	} {
		if got := tookText(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1 << 30: "1.1 GB", 1<<64 - 1: "18 EB",
	} {
		if got := sizeText(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	all := []time.Duration{5, 1, 4, 2, 3}
	for p, want := range map[int]time.Duration{0: 1, 50: 3, 99: 5, 100: 5} {
		if got := percentile(all, p); got != want {
			t.Errorf("percentile %d: got %d, want %d", p, got, want)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("got %d, want 0 of nothing", got)
	}
}

func TestHintsWrapBetweenWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "one": "one", "one two three": "one two|three", "overlong words": "overlong|words", "ää öö üü": "ää öö|üü",
	} {
		if got := strings.Join(wrap(in, 7), "|"); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
