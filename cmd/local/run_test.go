package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"culvert/client/nearend"
	"culvert/internal/term"
	"culvert/internal/whatsapp"
	"culvert/test/local/localtest"
	"culvert/test/screen"
)

// command runs the program to its end.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = program.Run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// start runs the program until stop is called, which returns its exit code.
func start(t *testing.T, args ...string) (out *screen.Screen, stop func() int) {
	t.Helper()
	return screen.Start(t, program.Run, args...)
}

// runStandIn runs "local run" with the stand-in and saves what others need.
func runStandIn(t *testing.T) (dir string, stop func() int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "saved")
	out, stop := start(t, "run", "--upstream=stand-in", "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--save", dir)
	out.Await(t, "Ctrl-C")
	return dir, stop
}

// parsed is o after a command line, with any free ports.
func parsed(t *testing.T, o *options, args ...string) *options {
	t.Helper()
	o.ports = nearend.AnyPorts
	if err := o.parse(args, io.Discard); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestADemoMovesEveryByteWhileItsCarriersAreCut(t *testing.T) {
	t.Parallel()
	o := parsed(t, newDemoOptions())
	o.size = 6 << 20
	out := screen.New()
	if err := o.run(t.Context(), new(whatsapp.Upstream), out, out); err != nil {
		text, _ := out.Text()
		t.Fatalf("got %v, want none, after %s", err, text)
	}
	text, _ := out.Text()
	for _, want := range []string{"client to edge", "download, hash right", "upload, hash right",
		"All bytes are right: 6.3 MB down, 6.3 MB up", "cut 2 times during the download and 2 times during"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %q in it", text, want)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\r") {
		t.Errorf("got %q, want no escapes without a terminal", text)
	}
	screen.CheckWidth(t, text)
}

// A demonstration takes any free ports, so that flags for them would be ignored.
func TestADemosHelpNamesNoPorts(t *testing.T) {
	t.Parallel()
	code, stdout, _ := command(t, "demo", "--help")
	for _, flag := range []string{"--chat", "--media", "--lan", "--host", "--save", "5222"} {
		if code != 0 || strings.Contains(stdout, flag) {
			t.Errorf("got %d and %q, want nothing of %s", code, stdout, flag)
		}
	}
}

func TestAnInterruptedDemoFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o, out := parsed(t, newDemoOptions()), screen.New()
	if err := o.run(ctx, new(whatsapp.Upstream), out, out); err == nil {
		t.Error("got no error, want one: nothing was shown")
	}
}

func TestRunEndsWell(t *testing.T) {
	t.Parallel()
	_, stop := runStandIn(t)
	if code := stop(); code != 0 {
		t.Errorf("got code %d after an interruption, want 0", code)
	}
}

// networks are upstreams without WhatsApp, and what is said of each.
var networks = map[string]struct {
	upstream *whatsapp.Upstream
	want     string
}{
	"no names": {&whatsapp.Upstream{LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	}}, "does not resolve"},
	"no answer": {&whatsapp.Upstream{
		LookupIP: func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("157.240.1.53")}, nil
		},
		DialAddr: func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}, "nothing came back in time"},
}

func TestRunWithoutInternetSaysWhichHopFails(t *testing.T) {
	t.Parallel()
	for name, c := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, out, begin := parsed(t, newRunOptions(), "--upstream=whatsapp"), screen.New(), time.Now()
			o.limit = 300 * time.Millisecond
			err := o.run(t.Context(), c.upstream, out, out)
			if err == nil || !strings.Contains(err.Error(), "bin/local run --upstream=stand-in") {
				t.Errorf("got %v, want what to try", err)
			}
			text, _ := out.Text()
			flat := strings.Join(strings.Fields(text), " ")
			if !strings.Contains(flat, "from the origin to WhatsApp") || !strings.Contains(flat, c.want) {
				t.Errorf("got %s, want the failing hop and %q", text, c.want)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("got an answer after %v, want it within seconds", took)
			}
			screen.CheckWidth(t, text)
		})
	}
}

// A newcomer without internet sees the whole relay at work, and no failure.
func TestWithoutInternetAStandInShowsTheRelayAtWork(t *testing.T) {
	t.Parallel()
	for name, c := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, out := parsed(t, newRunOptions()), screen.New()
			o.limit, o.size = 2*time.Second, 1<<20 // which the stand-in has, too, on a machine that is busy
			err := o.run(t.Context(), c.upstream, out, out)
			text, _ := out.Text()
			if err != nil {
				t.Fatalf("got %v, want none, after %s", err, text)
			}
			said, rest := "", strings.Join(strings.Fields(text), " ")
			for _, want := range []string{c.want, "WhatsApp is not reached from here: a stand-in takes its place",
				"A stand-in takes WhatsApp's place: no message goes anywhere", "✓ Chat: proved by the given key",
				"✓ All bytes are right", "WhatsApp was not reached.", "make run", "make deploy"} {
				before, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("got %s, want %q after %q", text, want, said)
				}
				said, rest = said+before, after
			}
			screen.CheckWidth(t, text)
		})
	}
}

func TestATakenPortNamesTheFlag(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for flag, args := range map[string][]string{
		"--chat":  {"--chat", taken, "--media", "127.0.0.1:0"},
		"--media": {"--chat", "127.0.0.1:0", "--media", taken},
	} {
		code, _, stderr := command(t, append([]string{"run", "--upstream=stand-in"}, args...)...)
		if code != 1 || !strings.Contains(stderr, "taken") || !strings.Contains(stderr, "; "+flag+" chooses") {
			t.Errorf("got %d, %q; want 1 and %s", code, stderr, flag)
		}
	}
}

func TestRunRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"run", "--upstream=elsewhere"}, {"run", "link"}, {"run", "--what"}} {
		if code, _, stderr := command(t, args...); code != 2 || !strings.Contains(stderr, "local run --help") {
			t.Errorf("%v: got %d, %q; want 2 and where help is", args, code, stderr)
		}
	}
}

func TestWhatIsSavedIsForTheUserAlone(t *testing.T) {
	t.Parallel()
	dir, _ := runStandIn(t)
	for _, name := range []string{"link", "chat-root", "media-ca"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s: got %o, want 600", name, got)
		}
	}
}

func TestRunNeverPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "saved")
	out, stop := start(t, "run", "--upstream=stand-in", "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--save", dir, "--verbose")
	out.Await(t, "Ctrl-C")
	stop()
	saved, err := os.ReadFile(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := out.Text()
	if link := strings.TrimSpace(string(saved)); strings.Contains(text, link[:24]) || strings.Contains(text, "culvert-secret") {
		t.Errorf("got a secret in %s", text)
	}
}

func TestRunGoesOnWithWhatWorks(t *testing.T) {
	t.Parallel()
	out := screen.New()
	r := &relay{options: &options{limit: proofLimit}, out: term.NewConsole(out), logs: out}
	r.Relay = localtest.Open(t)
	r.Upstream.Media = localtest.DeadFront(t).Host
	if err := r.proveWhatsApp(t.Context()); err != nil {
		t.Errorf("got %v, want none: chat works", err)
	}
	text, _ := out.Text()
	if !strings.Contains(text, "✓ Chat: proved by the given key") || !strings.Contains(text, "✗ Media up") || !strings.Contains(text, "Going on") {
		t.Errorf("got %s, want that chat works and media does not", text)
	}
}

func TestAWorkerThatCannotRunIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"leave --door away":     {"demo", "--worker=workerd", "--door=gateway"},
		"the folder of a clone": {"demo", "--worker=workerd"}, // a test's folder is none
	} {
		if code, _, stderr := command(t, args...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%q: got %d and %q, want %q", args, code, stderr, want)
		}
	}
}
