package term

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestALineAboveLeavesTheStatusBelow(t *testing.T) {
	t.Parallel()
	var b, log bytes.Buffer
	out := NewTestConsole(&b, true)
	out.Show("status")
	out.Write([]byte("line\n"))
	out.Beside(&log).Write([]byte("log\n"))
	out.Show("")
	want := EraseLine + "status" + EraseLine + "line\nstatus" + EraseLine + "status" + EraseLine
	if got := b.String(); got != want || log.String() != "log\n" {
		t.Errorf("got %q and %q, want %q and a line of log", got, log.String(), want)
	}
}

func TestFiguresAreForPeople(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0.00 ms", 70 * time.Microsecond: "0.07 ms", 2345 * time.Microsecond: "2.3 ms", 45 * time.Millisecond: "45 ms",
		1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1m30s", -1: "–",
	} {
		if got := Took(d); got != want {
			t.Errorf("%d: got %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 9949: "9.9 kB", 9950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1 << 30: "1.1 GB", 1<<64 - 1: "18 EB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestHintsWrapBetweenWords(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "one": "one", "one two three": "one two|three", "overlong words": "overlong|words", "ää öö üü": "ää öö|üü",
	} {
		if got := strings.Join(Wrap(in, 7), "|"); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestASavedFilesNameFitsAShell(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"try/link": "try/link", "my files/link": "'my files/link'", "it's": `'it'\''s'`} {
		if got := Quoted(name); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestALongStepIsBrokenAndItsTimeStandsAtTheEnd(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	c := NewTestConsole(&b, false)
	c.Step(Good, 1500*time.Millisecond, "short")
	c.Step(Bad, 9*time.Minute, "%s", strings.Repeat("word ", 20))
	want := "✓ short" + strings.Repeat(" ", 67) + "1.5 s\n" +
		"✗ " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n  " +
		strings.TrimSpace(strings.Repeat("word ", 6)) + strings.Repeat(" ", 43) + "9 min\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAHintsCommandIsNeverBroken(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	command := "  make " + strings.Repeat("word ", 20)
	NewTestConsole(&b, false).Hint("Try:\n%s", command)
	if got, want := b.String(), "  Try:\n  "+command+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNobodyIsAskedWithoutATerminal(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if NewTestConsole(&b, false).Ask("Remove all?") || b.Len() > 0 {
		t.Errorf("got %q and yes, want no without a question", b.String())
	}
}

func TestTheExitCodeFollowsTheError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		code int
		says string
	}{
		"nothing":       {nil, 0, ""},
		"help":          {flag.ErrHelp, 0, ""},
		"a usage error": {UsageError{"try it", "no such thing"}, 2, "try: no such thing\nTry: try it --help\n"},
		"a told error":  {ExitCode(130), 130, ""},
		"another error": {errors.New("no network"), 1, "try: no network\n"},
	} {
		p := Program{Name: "try", Commands: []Command{{"it", "", func(context.Context, []string, io.Writer, io.Writer) error { return c.err }}}}
		var out, errs bytes.Buffer
		if code := p.Run(t.Context(), []string{"it"}, &out, &errs); code != c.code || errs.String() != c.says || out.Len() > 0 {
			t.Errorf("%s: got %d, %q and %q, want %d and %q", name, code, out.String(), errs.String(), c.code, c.says)
		}
	}
}

func TestAProgramSaysItsVersion(t *testing.T) {
	t.Parallel()
	p := Program{Name: "try", Commands: []Command{Version("try")}}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		var out, errs bytes.Buffer
		if code := p.Run(t.Context(), args, &out, &errs); code != 0 || !strings.HasPrefix(out.String(), "try ") || !strings.Contains(out.String(), " go1.") {
			t.Errorf("%v: got %d, %q and %q, want the name and Go's version", args, code, out.String(), errs.String())
		}
	}
}

// What was recorded is the same command line again.
func TestRecordedFlagsSayTheSameAgain(t *testing.T) {
	t.Parallel()
	parse := func(args ...string) (given []string, yes bool, number int, texts []string) {
		f := NewFlags("x", "", "")
		f.BoolVar(&yes, "yes", false, "")
		f.IntVar(&number, "number", 1, "")
		f.Texts(&texts, "text", "")
		f.Record(&given)
		if _, err := f.ParseAll(args, io.Discard); err != nil {
			t.Fatal(err)
		}
		return given, yes, number, texts
	}
	first, _, _, _ := parse("--text", "a", "-yes", "--text=b c", "--number", "7")
	again, yes, number, texts := parse(first...)
	if strings.Join(first, "|") != "--text=a|--yes=true|--text=b c|--number=7" || strings.Join(again, "|") != strings.Join(first, "|") ||
		!yes || number != 7 || strings.Join(texts, "|") != "a|b c" {
		t.Errorf("got %q, then %q, %v, %d, %q", first, again, yes, number, texts)
	}
}
