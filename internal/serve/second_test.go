package serve

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"culvert/internal/guise"
)

// askSecond begins to speak HTTP/2 over c, with no room for an answer if window is 0, and asks n times. It reads nothing.
func askSecond(c net.Conn, window uint32, n int, more ...hpack.HeaderField) error {
	var raw, block bytes.Buffer
	raw.WriteString(http2.ClientPreface)
	f, e := http2.NewFramer(&raw, nil), hpack.NewEncoder(&block)
	f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	for i := range n {
		block.Reset()
		fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: "/"}}
		for _, field := range append(fields, more...) {
			e.WriteField(field)
		}
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	}
	_, err := c.Write(raw.Bytes())
	return err
}

// A connection whose peer reads nothing ends, though net/http's deadlines over HTTP/2 are those of streams.
func TestWhoReadsNothingOverHTTP2IsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := make(pipes)
		second := newSecond(newServer(http.HandlerFunc(hello), few(8), quiet))
		go second.Serve(ln)
		defer second.Close()
		c := ln.dial()
		defer c.Close()
		if err := askSecond(c, 65535, 1); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		c.SetWriteDeadline(start.Add(time.Hour))
		for err := error(nil); err == nil; _, err = c.Write([]byte("\x00\x00\x00\x04\x01\x00\x00\x00\x00")) {
			time.Sleep(time.Second)
		}
		if got := time.Since(start); got > answerPatience+10*time.Second {
			t.Errorf("got cut off after %v, want %v", got, answerPatience)
		}
	})
}

// What a stranger announces takes no memory before it has come.
func TestTheHeadOfAFrameTakesNoRoom(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second := newSecond(newServer(http.HandlerFunc(hello), few(100), quiet))
	go second.Serve(ln)
	defer second.Close()
	const n = 64
	before := heap()
	for range n {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := askSecond(c, 65535, 0); err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong"+"\x0f\x42\x40\x00\x00\x00\x00\x00\x01x")
		awaitFrame(t, c, http2.FramePing, http2.FrameGoAway) // the ping is answered right before, if so large a frame is taken
	}
	if got := (heap() - before) / n; got > 200<<10 {
		t.Errorf("got %d bytes for each connection, want far less than the megabyte that was announced", got)
	}
}

// Requests that wait for room at their client take places as connections do: whoever has most of them loses a connection.
func TestRequestsThatWaitOverHTTP2AreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, strangers := make(pipes), few(8)
		waits := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		second := newSecond(newServer(waits, strangers, quiet))
		go second.Serve(ln)
		defer second.Close()
		alone, crowd := visit(ln, "198.51.100.7:1"), visit(ln, "192.0.2.1:1")
		defer alone.Close()
		for c, n := range map[net.Conn]int{alone: 1, crowd: 40} {
			go io.Copy(io.Discard, c)
			askSecond(c, 0, n)
			synctest.Wait()
		}
		if _, err := crowd.Write([]byte("x")); err == nil || strangers.pool.Len() > 8 {
			t.Errorf("got %v and %d places taken, want the crowd's connection closed", err, strangers.pool.Len())
		}
		if strangers.pool.Len() == 0 {
			t.Error("got the other network's request ended, too")
		}
	})
}

// awaitFrame reads frames until one of these kinds comes.
func awaitFrame(t *testing.T, c net.Conn, kinds ...http2.FrameType) http2.Frame {
	t.Helper()
	for f := http2.NewFramer(nil, c); ; {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(kinds, frame.Header().Type) {
			return frame
		}
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A service that stops serves to its end what was asked for over HTTP/2.
func TestAStopLeavesAnswersOverHTTP2Whole(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := ready{slog.DiscardHandler, make(chan string, 1)}
	ctx, stop := context.WithCancel(context.Background())
	asked, answer := make(chan struct{}), make(chan struct{})
	s := Service{
		Listener: guise.Listen(ln, selfMade(t)), Admin: Off, Metrics: NewRegistry(), Log: slog.New(log), DrainFor: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { close(asked); <-answer; io.WriteString(w, "hello") }),
		Leave:   func(context.Context) error { time.AfterFunc(10*time.Millisecond, func() { close(answer) }); return nil },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-log.admin
	go func() { <-asked; stop() }()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}, Timeout: 10 * time.Second}
	res, err := client.Get("https://" + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello" || res.ProtoMajor != 2 {
		t.Errorf("got %q and %v over %s, want the whole answer", body, err, res.Proto)
	}
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a complete drain", err)
	}
}

// A stranger who reads nothing does not keep what is open from its drain.
func TestASlowStrangerDelaysNoDrain(t *testing.T) {
	t.Parallel()
	asks := map[string]func(net.Conn) error{
		"h2": func(c net.Conn) error { return askSecond(c, 0, 1) },
		"http/1.1": func(c net.Conn) error {
			_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			return err
		},
	}
	for protocol, ask := range asks {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			testSlowStranger(t, protocol, ask)
		})
	}
}

func testSlowStranger(t *testing.T, protocol string, ask func(net.Conn) error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := ready{slog.DiscardHandler, make(chan string, 1)}
	ctx, stop := context.WithCancel(context.Background())
	asked := make(chan struct{})
	var began time.Time
	s := Service{
		Listener: guise.Listen(ln, selfMade(t)), Admin: Off, Metrics: NewRegistry(), Log: slog.New(log), DrainFor: 2 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(asked)
			io.WriteString(w, "hello")
			<-r.Context().Done()
		}),
		Leave: func(context.Context) error { began = time.Now(); return nil },
		Drain: func(ctx context.Context) error {
			if took := time.Since(began); took > time.Second || ctx.Err() != nil {
				t.Errorf("got the drain begun after %v with %v, want most of its 2 s left", took, ctx.Err())
			}
			return nil
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	<-log.admin
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := ask(c); err != nil {
		t.Fatal(err)
	}
	<-asked
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a complete drain", err)
	}
}

func selfMade(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := SelfSigned(time.Now(), "a")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2", "http/1.1"}}
}
