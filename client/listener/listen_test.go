package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/wire"
)

// carried is what a Carry was called with.
type carried struct {
	conn    net.Conn
	service wire.Service
	first   []byte
}

// pipeListener accepts what is put into it.
type pipeListener struct {
	conns chan net.Conn
	errs  chan error
	done  chan struct{}
	ended atomic.Bool
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), errs: make(chan error), done: make(chan struct{})}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case err := <-p.errs:
		return nil, err
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error {
	if p.ended.CompareAndSwap(false, true) {
		close(p.done)
	}
	return nil
}

func (p *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial is the app's end of a new connection.
func (p *pipeListener) dial() net.Conn {
	app, ours := net.Pipe()
	p.conns <- ours
	return app
}

// serving runs l on ln until the test ends, and returns what it carries.
func serving(t *testing.T, l *Listener, ln net.Listener) <-chan carried {
	t.Helper()
	arrived := make(chan carried, 1)
	l.Carry = func(c net.Conn, s wire.Service, first []byte) { arrived <- carried{c, s, first} }
	l.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- l.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: got %v, want nil", err)
		}
	})
	return arrived
}

// loopback runs l on a TCP port and returns its address.
func loopback(t *testing.T, l *Listener) (string, <-chan carried) {
	t.Helper()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String(), serving(t, l, ln)
}

func connectTo(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

func TestListenerHandsOnWhatItRead(t *testing.T) {
	t.Parallel()
	address, arrived := loopback(t, &Listener{})
	media := goHello(t, &tls.Config{ServerName: "mmg.whatsapp.net", NextProtos: []string{strings.Repeat("x", 255), strings.Repeat("y", 255)}})
	for _, c := range []struct {
		name, sent string
		want       wire.Service
	}{
		{"chat", "WA\x06\x03 and more", wire.Service{Kind: wire.Chat}},
		{"chat with routing", "ED\x00\x01", wire.Service{Kind: wire.Chat}},
		{"media", string(media), wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}},
		{"media in pieces", string(refragment(media, 9)), wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}},
	} {
		app := connectTo(t, address)
		io.WriteString(app, c.sent)
		got := <-arrived
		if got.service != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got.service, c.want)
		}
		if _, ok := got.conn.(*net.TCPConn); !ok {
			t.Errorf("%s: got a %T, want the TCP connection itself", c.name, got.conn)
		}
		app.CloseWrite()
		rest, err := io.ReadAll(got.conn)
		if all := string(got.first) + string(rest); all != c.sent || err != nil {
			t.Errorf("%s: got %d bytes, %v; want the %d sent", c.name, len(all), err, len(c.sent))
		}
		got.conn.Close()
	}
}

func TestListenerEndsTLSForChat(t *testing.T) {
	t.Parallel()
	address, arrived := loopback(t, &Listener{})
	for _, cfg := range []*tls.Config{
		{InsecureSkipVerify: true},
		{InsecureSkipVerify: true, ServerName: "proxy.example", MaxVersion: tls.VersionTLS12},
	} {
		app := tls.Client(connectTo(t, address), cfg)
		if _, err := io.WriteString(app, "WA\x06\x03"); err != nil {
			t.Fatal(err)
		}
		got := <-arrived
		if want := (wire.Service{Kind: wire.Chat}); got.service != want || string(got.first) != "WA\x06\x03" {
			t.Errorf("got %v, %q; want %v and the opening", got.service, got.first, want)
		}
		io.WriteString(got.conn, "answer")
		got.conn.(*ChatConn).CloseWrite()
		if b, err := io.ReadAll(app); string(b) != "answer" || err != nil {
			t.Errorf("got %q, %v; want the answer and its end", b, err)
		}
		got.conn.Close()
	}
}

func TestAnAbortedChatConnDoesNotLookComplete(t *testing.T) {
	t.Parallel()
	address, arrived := loopback(t, &Listener{})
	app := tls.Client(connectTo(t, address), &tls.Config{InsecureSkipVerify: true})
	io.WriteString(app, "WA\x06\x03")
	conn := (<-arrived).conn.(*ChatConn)
	conn.SetLinger(0)
	conn.Close()
	if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
	}
}

func TestListenerAnswersNothingForeign(t *testing.T) {
	t.Parallel()
	address, arrived := loopback(t, &Listener{})
	for name, sent := range map[string]string{
		"SSH":                  "SSH-2.0-x\r\n",
		"zeros":                strings.Repeat("\x00", 9000),
		"a broken ClientHello": "\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
		"SOCKS":                "\x05\x01\x00",
		"nothing":              "",
	} {
		app := connectTo(t, address)
		io.WriteString(app, sent)
		app.CloseWrite()
		b, err := io.ReadAll(app)
		if len(b) != 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got %q, %v; want an end without a byte", name, b, err)
		}
	}
	select {
	case c := <-arrived:
		t.Errorf("carried %v", c.service)
	default:
	}
}

func TestListenerClosesForeignBytesInsideTLS(t *testing.T) {
	t.Parallel()
	address, _ := loopback(t, &Listener{})
	app := tls.Client(connectTo(t, address), &tls.Config{InsecureSkipVerify: true})
	io.WriteString(app, "SSH-2.0-x")
	if n, err := app.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("got %d bytes, %v; want none", n, err)
	}
}

func TestListenerClosesWhoNeverSends(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]string{"nothing": "", "half an opening": "W", "half a ClientHello": "\x16\x03\x01\x02\x00\x01"} {
		synctest.Test(t, func(t *testing.T) {
			ln := newPipeListener()
			serving(t, &Listener{}, ln)
			app, start := ln.dial(), time.Now()
			io.WriteString(app, sent)
			if _, err := app.Read(make([]byte, 1)); err != io.EOF || time.Since(start) != unknownLimit {
				t.Errorf("%s: got %v after %v, want the end after %v", name, err, time.Since(start), unknownLimit)
			}
		})
	}
}

func TestListenerClosesWhoStopsInItsTLSHandshake(t *testing.T) {
	t.Parallel()
	hello := goHello(t, helloConfigs["no name"])
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		serving(t, &Listener{}, ln)
		app, start := ln.dial(), time.Now()
		app.Write(hello)
		io.Copy(io.Discard, app)
		if got := time.Since(start); got != unknownLimit {
			t.Errorf("closed after %v, want %v", got, unknownLimit)
		}
	})
}

func TestRawListenerCarriesEverything(t *testing.T) {
	t.Parallel()
	address, arrived := loopback(t, &Listener{Raw: true})
	for _, sent := range []string{"anything", "GET / HTTP/1.1\r\n", "\x16\x03\x01", strings.Repeat("x", 9000)} {
		app := connectTo(t, address)
		io.WriteString(app, sent)
		app.CloseWrite()
		got := <-arrived
		rest, err := io.ReadAll(got.conn)
		if got.service.Kind != wire.Chat || string(got.first)+string(rest) != sent || err != nil {
			t.Errorf("%.9q: got %v, %d + %d bytes, %v; want all in chat", sent, got.service, len(got.first), len(rest), err)
		}
		if len(got.first) > 4<<10 {
			t.Errorf("%.9q: first has %d bytes, want one read", sent, len(got.first))
		}
		got.conn.Close()
	}
}

func TestRawListenerWaitsOnlyBrieflyForFirstBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		arrived := serving(t, &Listener{Raw: true}, ln)
		app, start := ln.dial(), time.Now()
		got := <-arrived
		if waited := time.Since(start); waited != rawWait || len(got.first) != 0 {
			t.Errorf("got %q after %v, want nothing after %v", got.first, waited, rawWait)
		}
		time.AfterFunc(time.Hour, func() { io.WriteString(app, "late") })
		b := make([]byte, 4)
		if _, err := io.ReadFull(got.conn, b); err != nil {
			t.Errorf("read much later: got %v, want no deadline", err)
		}
	})
}

func TestListenerDemandsAPROXYHeaderIfToldSo(t *testing.T) {
	t.Parallel()
	for _, raw := range []bool{false, true} {
		address, arrived := loopback(t, &Listener{ProxyHeader: true, Raw: raw})
		for name, header := range proxyHeaders {
			app := connectTo(t, address)
			io.WriteString(app, header[:5])
			io.WriteString(app, header[5:]+"WA\x06")
			got := <-arrived
			app.CloseWrite()
			rest, _ := io.ReadAll(got.conn)
			if got.service.Kind != wire.Chat || string(got.first)+string(rest) != "WA\x06" {
				t.Errorf("%s: got %v, %q; want chat without the header", name, got.service, got.first)
			}
			got.conn.Close()
		}
		app := connectTo(t, address)
		io.WriteString(app, "WA\x06")
		if b, _ := io.ReadAll(app); len(b) != 0 {
			t.Errorf("without a header: got %q, want nothing", b)
		}
	}
}

func TestServeSurvivesAWantOfDescriptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		arrived := serving(t, &Listener{}, ln)
		for range 20 {
			ln.errs <- &net.OpError{Op: "accept", Err: syscall.EMFILE}
		}
		start := time.Now()
		app := ln.dial()
		if waited := time.Since(start); waited < time.Second/2 || waited >= time.Second {
			t.Errorf("accepting again took %v, want the longest pause, half a second to a second", waited)
		}
		io.WriteString(app, "WA")
		if got := <-arrived; string(got.first) != "WA" {
			t.Errorf("got %q, want the opening", got.first)
		}
	})
}

// What comes while open files are scarce ends, and what came before goes on; one line a minute says so.
func TestNewConnectionsEndWhileOpenFilesAreScarce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, log := newPipeListener(), new(strings.Builder)
		arrived := make(chan net.Conn, 1)
		r, err := newReception(&Listener{Raw: true, Carry: func(c net.Conn, _ wire.Service, _ []byte) { arrived <- c }, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		var scarce atomic.Bool
		r.scarce = scarce.Load
		go r.acceptAll(t.Context(), ln)
		defer ln.Close()
		first := ln.dial()
		carried := <-arrived
		scarce.Store(true)
		for range 3 {
			if _, err := ln.dial().Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("got %v of a new connection, want its end", err)
			}
		}
		scarce.Store(false)
		go io.WriteString(first, "x")
		if _, err := carried.Read(make([]byte, 1)); err != nil {
			t.Errorf("got %v of one that there was, want it to go on", err)
		}
		ln.dial()
		(<-arrived).Close()
		if n := strings.Count(log.String(), "raise the limit of open files"); n != 1 {
			t.Errorf("got %d lines, want 1:\n%s", n, log)
		}
	})
}

// The bubble ends only if no goroutine is left, and Serve has waited for all:
// for who says nothing, who stops in a hello, who does not read the help page,
// and for Carry.
func TestServeLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, returned := newPipeListener(), false
		carry := func(c net.Conn, _ wire.Service, _ []byte) {
			time.Sleep(time.Second)
			c.Close()
			returned = true
		}
		l := &Listener{Carry: carry, Log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error)
		go func() { served <- l.Serve(ctx, ln) }()
		hello := goHello(t, helloConfigs["plain"])
		var apps []net.Conn
		for _, said := range []string{"", string(hello[:100]), "GET / HTTP/1.1\r\nHost: localhost" + goes + "\r\n", "GET /", "WA"} {
			app := ln.dial()
			io.WriteString(app, said)
			apps = append(apps, app)
		}
		synctest.Wait()
		cancel()
		if err := <-served; err != nil || !returned {
			t.Errorf("serve: got %v, Carry returned %v; want nil after Carry's end", err, returned)
		}
		for i, app := range apps {
			if _, err := app.Write([]byte{1}); err == nil {
				t.Errorf("connection %d is still open", i)
			}
		}
	})
}

func TestServeReturnsWhatEndsAccepting(t *testing.T) {
	t.Parallel()
	ln := newPipeListener()
	go func() { ln.errs <- syscall.EBADF }()
	if err := (&Listener{Log: slog.Default()}).Serve(t.Context(), ln); !errors.Is(err, syscall.EBADF) {
		t.Errorf("got %v, want %v", err, syscall.EBADF)
	}
	if !ln.ended.Load() {
		t.Error("the listener is open")
	}
}

func TestListenSaysThatAPortIsTaken(t *testing.T) {
	t.Parallel()
	ln, err := Listen(t.Context(), Address(false, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err = Listen(t.Context(), ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("got %v, want advice", err)
	}
}

// Apple's systems take no server's certificate that is good for longer.
func TestAChatCertificateLivesAsLongAsPhonesAllow(t *testing.T) {
	t.Parallel()
	cert, err := NewChatCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore); life > 825*24*time.Hour {
		t.Errorf("valid for %v, want at most 825 days", life)
	}
}
