package serve

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/version"
)

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial() net.Conn {
	near, far := net.Pipe()
	p <- far
	return near
}

var quiet = slog.New(slog.DiscardHandler)

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func TestSlowStrangersAreCutOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		send  string
		after time.Duration
	}{
		"says nothing":        {"", headerPatience},
		"half a head":         {"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", headerPatience},
		"no body":             {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", bodyPatience},
		"idle between":        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", idlePatience},
		"more head than fits": {"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", maxHead+5000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ln := make(pipes)
				srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
				}), few(1), quiet)
				go srv.Serve(ln)
				defer srv.Close()
				conn := ln.dial()
				defer conn.Close()
				go io.WriteString(conn, c.send)
				start := time.Now()
				io.Copy(io.Discard, conn) // until the server hangs up
				if got := time.Since(start).Round(time.Second); got > c.after+time.Second {
					t.Errorf("got cut off after %v, want %v", got, c.after)
				}
			})
		})
	}
}

func TestAPanicIsLoggedWithoutAddressAndTheRestNot(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := newServer(nil, few(1), slog.New(slog.NewTextHandler(&out, nil))).ErrorLog
	log.Print("http: TLS handshake error from 192.0.2.7:1234: EOF")
	if out.Len() > 0 {
		t.Errorf("got %q, want nothing", out.String())
	}
	log.Print("http: panic serving 192.0.2.7:1234: index out of range: 5\ngoroutine 1")
	log.Print("http: panic serving [2001:db8::7]:1234: other\ngoroutine 1")
	if got := out.String(); !strings.Contains(got, "index out of range: 5") || !strings.Contains(got, "other") ||
		strings.Contains(got, "192.0.2.7") || strings.Contains(got, "2001:db8") {
		t.Errorf("got %q, want the panics and no address", got)
	}
}

// ready is a log that tells the admin address of the line "ready".
type ready struct {
	slog.Handler
	admin chan string
}

func (r ready) Handle(_ context.Context, rec slog.Record) error {
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "admin" {
			r.admin <- a.Value.String()
		}
		return true
	})
	return nil
}

func (r ready) Enabled(context.Context, slog.Level) bool { return true }

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(b)
}

func TestAServiceDrainsInOrder(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := ready{slog.DiscardHandler, make(chan string, 1)}
	ctx, stop := context.WithCancel(context.Background())
	leaving, left := make(chan struct{}), make(chan struct{})
	var accepting, drained bool
	s := Service{
		Listener: ln, Handler: http.HandlerFunc(hello), Admin: "127.0.0.1:0", Metrics: NewRegistry(), Log: slog.New(log),
		DrainFor: 10 * time.Second,
		Leave:    func(context.Context) error { close(leaving); <-left; return nil },
		Drain: func(context.Context) error {
			_, err := net.Dial("tcp", ln.Addr().String())
			accepting, drained = err == nil, true
			return nil
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	admin := "http://" + <-log.admin
	if status, body := get(t, admin+"/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("got %d and %q, want 200 and ok", status, body)
	}
	if status, body := get(t, admin+"/metrics"); status != 200 || !strings.Contains(body, "go_goroutines") {
		t.Errorf("got %d and %q, want the runtime's metrics", status, body)
	}
	if _, body := get(t, admin+"/metrics"); !strings.Contains(body, fmt.Sprintf("culvert_build_info{commit=%q,go_version=%q,version=%q} 1",
		version.Read().Commit, version.Read().Go, version.Read().Version)) {
		t.Errorf("got %q, want the build named", body)
	}
	if status, _ := get(t, admin+"/debug/pprof/"); status != 404 {
		t.Errorf("got %d, want nothing else there", status)
	}
	stop()
	<-leaving
	if status, _ := get(t, admin+"/healthz"); status != 503 {
		t.Errorf("draining: got %d, want 503", status)
	}
	if _, body := get(t, "http://"+ln.Addr().String()); body != "hello" {
		t.Errorf("leaving: got %q, want connections still accepted", body)
	}
	close(left)
	if err := <-ended; err != nil || !drained || accepting {
		t.Errorf("got %v, drained %v, accepting %v; want a complete drain of a closed listener", err, drained, accepting)
	}
}

// Whoever takes an address over gets all that comes to it from then on, also
// from those who kept a connection; the old service goes on at its own.
func TestAServiceIsTakenOver(t *testing.T) {
	t.Parallel()
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	given, own := listen(), listen()
	log := ready{slog.DiscardHandler, make(chan string, 1)}
	ctx, stop := context.WithCancel(context.Background())
	leaving, left := make(chan struct{}), make(chan struct{})
	s := Service{
		Listener: given, Lasting: own, Handler: http.HandlerFunc(hello), Admin: Off, Metrics: NewRegistry(), Log: slog.New(log),
		DrainFor: 10 * time.Second,
		Leave:    func(context.Context) error { close(leaving); <-left; return nil },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-log.admin
	kept, err := net.Dial("tcp", given.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	kept.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(kept, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	in := bufio.NewReader(kept)
	if res, err := http.ReadResponse(in, nil); err != nil || res.Close {
		t.Fatalf("got %v, want a connection that is kept", err)
	} else if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	stop()
	<-leaving
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("got %v, want the kept connection closed", err)
	}
	if c, err := net.Dial("tcp", given.Addr().String()); err == nil {
		c.Close()
		t.Error("the address that was given up is still listened at")
	}
	if _, body := get(t, "http://"+own.Addr().String()); body != "hello" {
		t.Errorf("got %q, want the other one served", body)
	}
	close(left)
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a complete drain", err)
	}
	if c, err := net.Dial("tcp", own.Addr().String()); err == nil {
		c.Close()
		t.Error("the other address is still listened at after the end")
	}
}

// Who cannot listen is told which setting says where, and what to try.
func TestAnAddressThatCannotBeHadSaysWhatToTry(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for at, want := range map[string]string{taken.Addr().String(): "another program has the port", "192.0.2.1:8080": "no such address, or not yet"} {
		_, err := TLSFiles{}.Listen(Address(at), false, nil, NewFiles(quiet))
		_, admin := AdminAddress(at).listen(quiet)
		for setting, err := range map[string]error{"CULVERT_LISTEN: ": err, "CULVERT_ADMIN_LISTEN: ": admin} {
			if err == nil || !strings.HasPrefix(err.Error(), setting) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q and %q", at, err, setting, want)
			}
		}
	}
	denied := &os.SyscallError{Syscall: "bind", Err: syscall.EACCES}
	if err := notListening("CULVERT_LISTEN", denied); !strings.Contains(err.Error(), "below 1024") {
		t.Errorf("got %v, want what to do for a port below 1024", err)
	}
}

func TestOnlySharedAddressesAreListenedAtTwice(t *testing.T) {
	t.Parallel()
	first, err := TLSFiles{}.Listen("127.0.0.1:0", true, nil, NewFiles(quiet))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	at := Address(first.Addr().String())
	second, err := TLSFiles{}.Listen(at, true, nil, NewFiles(quiet))
	if err != nil {
		t.Fatalf("got %v, want the address shared", err)
	}
	defer second.Close()
	if third, err := (TLSFiles{}).Listen(at, false, nil, NewFiles(quiet)); err == nil {
		third.Close()
		t.Error("got no error for an address in use")
	}
}

func TestADrainThatTakesTooLongIsReported(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		s := Service{Listener: make(pipes), Admin: Off, Metrics: NewRegistry(), Log: quiet, DrainFor: time.Minute,
			Drain: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}
		start := time.Now()
		if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want a passed deadline after a minute", err, time.Since(start))
		}
	})
}

func TestAnAdminAddressInUseStopsTheStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := Service{Listener: make(pipes), Admin: AdminAddress(taken.Addr().String()), Metrics: NewRegistry(), Log: quiet}
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "CULVERT_ADMIN_LISTEN") {
		t.Errorf("got %v, want the setting named", err)
	}
}
