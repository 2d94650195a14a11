package nearend

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/lang"
	"culvert/internal/term"
)

// told is what a test's Watcher is told.
type told struct {
	status client.Status
	moved  Traffic
}

func (s *told) watcher(out *term.Console) *Watcher {
	return &Watcher{Out: out, Fronts: 2,
		Status: func() client.Status { return s.status }, Traffic: func() Traffic { return s.moved }}
}

var begin = time.Unix(1_800_000_000, 0)

// What came after the link is said when it comes, and of the front that carries.
func TestAListOfFrontsIsTold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := Watcher{Out: term.NewConsole(&out), Fronts: 1, Traffic: func() Traffic { return Traffic{} }}
	for _, c := range []struct {
		s    client.Status
		want string
	}{
		{client.Status{Connected: true}, ""},
		{client.Status{Connected: true, List: 7, Later: 2}, "a list of fronts that came later than the link, with 2 new fronts"},
		{client.Status{Connected: true, List: 7, Later: 2}, ""},
		{client.Status{Connected: true}, "has expired"},
	} {
		out.Reset()
		w.hear(c.s)
		if got := out.String(); (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	w.hear(client.Status{List: 8, Later: 1})
	if got := w.connection(client.Status{Connected: true, Front: 1, Later: 1}); got != "connected by front 2, which came later" {
		t.Errorf("got %q", got)
	}
}

func TestOnATerminalTheStatusIsRedrawn(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{Connected: true, Front: 1, RTT: 42 * time.Millisecond, Carriers: 2, Tunnels: 12}}
	w := s.watcher(term.NewTestConsole(&b, true))
	w.connected, w.lastAt, w.said = true, begin, begin
	s.moved = Traffic{Up: 268_000, Down: 1_200_000}
	w.update(begin.Add(time.Second))
	want := term.EraseLine + "✓ connected by front 2, 42 ms, 12 open, up 268 kB (268 kB/s)"
	if got := b.String(); !strings.HasPrefix(got, want) || strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line that begins with %q", got, want)
	}
	before := b.Len()
	w.update(begin.Add(2 * time.Second))
	if got := b.String()[before:]; !strings.HasPrefix(got, term.EraseLine) || strings.Contains(got, "/s") {
		t.Errorf("got %q, want the line again, without a rate", got)
	}
	before = b.Len()
	w.update(begin.Add(3 * time.Second))
	if got := b.String()[before:]; got != "" {
		t.Errorf("got %q, want nothing: nothing changed", got)
	}
}

func TestALostConnectionIsSaidOnce(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{LastError: errors.New("front 1: no answer\nfront 2: refused")}}
	w := s.watcher(term.NewTestConsole(&b, false))
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
	w := s.watcher(term.NewTestConsole(&b, false))
	w.connected, w.said = true, begin
	for i := range 150 {
		w.update(begin.Add(time.Duration(i) * time.Second))
	}
	if got := strings.Count(b.String(), "\n"); got != 2 || strings.Contains(b.String(), "\x1b") {
		t.Errorf("got %q, want 2 plain lines", b.String())
	}
}

// A line that goes to a file is laid out by whoever shows the file: it says its direction.
func TestALineFromRightToLeftSaysSo(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	s := &told{status: client.Status{Connected: true, RTT: 42 * time.Millisecond}}
	w := s.watcher(term.NewTestConsole(&b, false).In(lang.Persian))
	w.update(begin.Add(2 * repeat))
	if got := b.String(); !strings.HasPrefix(got, "\u2067") || !strings.HasSuffix(got, "\u2069\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one line that is marked as one from right to left", got)
	}
}

func TestTheStatusFitsTheTerminal(t *testing.T) {
	t.Parallel()
	s := &told{status: client.Status{Connected: true, RTT: time.Second, Tunnels: 12_345, Carriers: 5}}
	s.moved = Traffic{1 << 40, 1 << 50}
	var b bytes.Buffer
	w := s.watcher(term.NewTestConsole(&b, true)) // no terminal: 79 columns
	w.connected, w.lastAt = true, begin
	w.update(begin.Add(time.Second))
	if got := strings.TrimPrefix(b.String(), term.EraseLine); len([]rune(got)) > 79 {
		t.Errorf("got %d columns, want at most 79: %q", len([]rune(got)), got)
	}
}
