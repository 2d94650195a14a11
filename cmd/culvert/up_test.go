package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/term"
	"culvert/internal/wire"
	"culvert/test/app"
)

// screen is an output that a test can wait for.
type screen struct {
	mu   sync.Mutex // guards the following
	text bytes.Buffer
	more chan struct{} // closed and replaced at each write
}

func newScreen() *screen { return &screen{more: make(chan struct{})} }

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.more)
	s.more = make(chan struct{})
	return s.text.Write(b)
}

func (s *screen) read() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.more
}

// await waits until what is the text's part.
func (s *screen) await(t *testing.T, what string) string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		text, more := s.read()
		if strings.Contains(text, what) {
			return text
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("got %q, want %q in it", text, what)
		}
	}
}

// start runs the program until stop is called, which returns its exit code.
func start(t *testing.T, args ...string) (out *screen, stop func() int) {
	t.Helper()
	out = newScreen()
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- program.Run(ctx, args, out, out) }()
	var once sync.Once
	ended := -1
	stop = func() int {
		once.Do(func() { cancel(); ended = <-code })
		return ended
	}
	t.Cleanup(func() { stop() })
	return out, stop
}

// upStandIn runs "culvert up" with the stand-in and saves what others need.
func upStandIn(t *testing.T) (dir string, stop func() int) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "saved")
	out, stop := start(t, "up", "--upstream=stand-in", "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--save", dir)
	out.await(t, "Ctrl-C")
	return dir, stop
}

// testUp is a command line whose relay the test may change.
func testUp(t *testing.T, args ...string) *upOptions {
	t.Helper()
	o := newUpOptions()
	if err := o.parse(append(args, "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0"), nil); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestADemoMovesEveryByteWhileItsCarriersAreCut(t *testing.T) {
	t.Parallel()
	o := testUp(t, "--demo")
	o.size = 6 << 20
	out := newScreen()
	if err := o.up(t.Context(), &localRelay{trust: genuine()}, out, out); err != nil {
		text, _ := out.read()
		t.Fatalf("got %v, want none, after %s", err, text)
	}
	text, _ := out.read()
	for _, want := range []string{"client to edge", "download, hash right", "upload, hash right",
		"All bytes are right: 6.3 MB down, 6.3 MB up", "cut 2 times during the download and 2 times during"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %s, want %q in it", text, want)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Contains(text, "\r") {
		t.Errorf("got %q, want no escapes without a terminal", text)
	}
	checkWidth(t, text)
}

func checkWidth(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if n := len([]rune(line)); n > 80 && !strings.HasPrefix(line, "culvert doctor") && !strings.HasPrefix(line, "https://") {
			t.Errorf("got %d columns, want at most 80: %s", n, line)
		}
	}
}

func TestAnInterruptedDemoFails(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o, out := testUp(t, "--demo"), newScreen()
	if err := o.up(ctx, &localRelay{trust: genuine()}, out, out); err == nil {
		t.Error("got no error, want one: nothing was shown")
	}
}

func TestUpEndsWell(t *testing.T) {
	t.Parallel()
	_, stop := upStandIn(t)
	if code := stop(); code != 0 {
		t.Errorf("got code %d after an interruption, want 0", code)
	}
}

func TestUpWithoutInternetSaysWhichHopFails(t *testing.T) {
	t.Parallel()
	noNames := func(context.Context, string, string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	}
	someName := func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("157.240.1.53")}, nil
	}
	silent := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, c := range map[string]struct {
		lookup func(context.Context, string, string) ([]netip.Addr, error)
		dial   func(context.Context, string, string) (net.Conn, error)
		want   string
	}{
		"no names":  {noNames, nil, "does not resolve"},
		"no answer": {someName, silent, "nothing came back in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, out, begin := testUp(t), newScreen(), time.Now()
			o.limit = 300 * time.Millisecond
			r := &localRelay{trust: genuine()}
			r.upstream.LookupIP, r.upstream.DialAddr = c.lookup, c.dial
			err := o.up(t.Context(), r, out, out)
			if err == nil || !strings.Contains(err.Error(), "culvert up --upstream=stand-in") {
				t.Errorf("got %v, want what to try", err)
			}
			text, _ := out.read()
			flat := strings.Join(strings.Fields(text), " ")
			if !strings.Contains(flat, "from the origin to WhatsApp") || !strings.Contains(flat, c.want) {
				t.Errorf("got %s, want the failing hop and %q", text, c.want)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("got an answer after %v, want it within seconds", took)
			}
			checkWidth(t, text)
		})
	}
}

func TestATakenPortNamesTheFlag(t *testing.T) {
	t.Parallel()
	ln, err := listenHere()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for flag, args := range map[string][]string{
		"--chat":  {"--chat", taken, "--media", "127.0.0.1:0"},
		"--media": {"--chat", "127.0.0.1:0", "--media", taken},
	} {
		code, _, stderr := culvert(t, append([]string{"up", "--upstream=stand-in"}, args...)...)
		if code != 1 || !strings.Contains(stderr, "taken") || !strings.Contains(stderr, "; "+flag+" chooses") {
			t.Errorf("got %d, %q; want 1 and %s", code, stderr, flag)
		}
	}
}

func TestUpRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"up", "--upstream=elsewhere"}, {"up", "link"}, {"up", "--what"}} {
		if code, _, stderr := culvert(t, args...); code != 2 || !strings.Contains(stderr, "culvert up --help") {
			t.Errorf("%v: got %d, %q; want 2 and where help is", args, code, stderr)
		}
	}
}

func TestWhatIsSavedIsForTheUserAlone(t *testing.T) {
	t.Parallel()
	dir, _ := upStandIn(t)
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

func TestUpNeverPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "saved")
	out, stop := start(t, "up", "--upstream=stand-in", "--chat", "127.0.0.1:0", "--media", "127.0.0.1:0", "--save", dir, "--verbose")
	out.await(t, "Ctrl-C")
	stop()
	saved, err := os.ReadFile(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := out.read()
	if link := strings.TrimSpace(string(saved)); strings.Contains(text, link[:24]) || strings.Contains(text, "culvert-secret") {
		t.Errorf("got a secret in %s", text)
	}
}

// A connection that the app holds open lives on when all carriers are cut.
func TestACutCarrierIsReplacedUnderTheApp(t *testing.T) {
	t.Parallel()
	r, _ := openRelay(t)
	conn, err := r.near.dialChat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := app.Exchange(t.Context(), &cutting{Conn: conn, carriers: r.carriers, left: 3}, r.trust.root, 20); err != nil {
		t.Errorf("got %v, want every message answered", err)
	}
}

// cutting cuts all carriers before its first writes.
type cutting struct {
	net.Conn
	carriers *cutter
	left     int
}

func (c *cutting) Write(b []byte) (int, error) {
	if c.left > 0 {
		c.left--
		c.carriers.cut()
	}
	return c.Conn.Write(b)
}

// openRelay is a relay to a stand-in, without commands.
func openRelay(t *testing.T) (*localRelay, *screen) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	r, out, o := &localRelay{trust: genuine(), failed: cancel}, newScreen(), testUp(t, "--upstream=stand-in")
	t.Cleanup(func() { r.close(); cancel(nil) })
	if err := o.start(ctx, r, term.NewConsole(out), out); err != nil {
		t.Fatal(err)
	}
	if err := r.connect(ctx, term.NewConsole(out)); err != nil {
		t.Fatal(err)
	}
	return r, out
}

func TestTheOriginsFailureIsKept(t *testing.T) {
	t.Parallel()
	r := &localRelay{}
	if _, err := r.dial(t.Context(), wire.Service{Kind: wire.Web, Host: "example.org"}); err == nil || r.whyNoDial() == nil {
		t.Errorf("got %v and %v, want an error twice", err, r.whyNoDial())
	}
}

func TestUpGoesOnWithWhatWorks(t *testing.T) {
	t.Parallel()
	r, out := openRelay(t)
	r.upstream.Media = deadFront(t).Host
	if err := r.proveWhatsApp(t.Context(), term.NewConsole(out), time.Second); err != nil {
		t.Errorf("got %v, want none: chat works", err)
	}
	text, _ := out.read()
	if !strings.Contains(text, "✓ Chat: proved by the given key") || !strings.Contains(text, "✗ Media up") || !strings.Contains(text, "Going on") {
		t.Errorf("got %s, want that chat works and media does not", text)
	}
}

// Nothing waits for connections that the app holds open, as chat does for hours.
func TestOpenConnectionsDoNotHoldTheEndUp(t *testing.T) {
	t.Parallel()
	r, _ := openRelay(t)
	conn, err := r.near.dialChat(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := app.Exchange(t.Context(), conn, r.trust.root, 1); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	r.close()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("got an end after %v, want it at once", took)
	}
	conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a connection that has ended", err)
	}
}
