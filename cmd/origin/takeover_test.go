package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/wire"
	"culvert/test/ports"
)

// asOrigin makes this test's own program an origin.
const asOrigin = "CULVERT_TEST_AS_ORIGIN"

func TestMain(m *testing.M) {
	if os.Getenv(asOrigin) != "" {
		os.Unsetenv(asOrigin)
		os.Args = os.Args[:1]
		limitFiles()
		main()
		return
	}
	os.Exit(m.Run())
}

// process is an origin of its own.
type process struct {
	*exec.Cmd
	ended chan error
	lines chan string // of its log; closed at the end
}

// startOrigin returns when it is ready.
func startOrigin(t *testing.T, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{exec.Command(self), make(chan error, 1), make(chan string, 1000)}
	p.Env = append([]string{asOrigin + "=1", "CULVERT_ADMIN_LISTEN=off"}, env...)
	log, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	ready := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=ready") {
				ready <- true
			}
			select {
			case p.lines <- lines.Text():
			default: // nobody reads them
			}
		}
		ready <- false
		close(p.lines)
		p.ended <- p.Wait()
	}()
	if !<-ready {
		t.Fatalf("the origin does not start: %v", <-p.ended)
	}
	return p
}

// wantEnd waits for a stop with nothing cut.
func (p *process) wantEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			t.Errorf("got %v, want a complete stop", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the old origin does not stop")
	}
}

// cdn ends TLS and passes on to one address, as a CDN does.
type cdn struct {
	net.Listener
	cert *x509.Certificate
	to   string
	mu   sync.Mutex // guards the following
	live []net.Conn
}

func newCDN(t *testing.T, to string) *cdn {
	example := httptest.NewTLSServer(nil) // for its certificate
	example.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: example.TLS.Certificates, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	c := &cdn{Listener: ln, cert: example.Certificate(), to: to}
	t.Cleanup(func() { ln.Close(); c.cut() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			go c.join(near)
		}
	}()
	return c
}

func (c *cdn) join(near net.Conn) {
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		near.Close()
		return
	}
	c.mu.Lock()
	c.live = append(c.live, near, far)
	c.mu.Unlock()
	go func() { io.Copy(far, near); far.Close() }()
	io.Copy(near, far)
	near.Close()
}

// cut ends every carrier.
func (c *cdn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.live {
		conn.Close()
	}
	c.live = nil
}

func startClient(t *testing.T, c *cdn, keys seal.ClientKeys) *client.Client {
	t.Helper()
	front := link.Front{Host: c.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(c.cert)}}
	near, err := client.New(client.Config{Link: &link.Link{Keys: keys, Fronts: []link.Front{front}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); near.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return near
}

// stream is one of the app's, and WhatsApp's end of it.
type stream struct{ app, far net.Conn }

// openStream opens one that leads to upstream. One that leads to before, as the client has not heard yet that another
// origin takes what is new, is ended again.
func openStream(t *testing.T, c *client.Client, upstream, before <-chan net.Conn) stream {
	t.Helper()
	patience := time.After(20 * time.Second)
	for {
		app := c.Dial(wire.Service{Kind: wire.Chat})
		if _, err := app.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		select {
		case far := <-upstream:
			s := stream{app, far}
			s.begin(t)
			return s
		case far := <-before:
			app.Close()
			far.Close()
		case <-patience:
			t.Fatal("no origin dials upstream")
		}
	}
}

func (s stream) begin(t *testing.T) {
	t.Helper()
	t.Cleanup(func() { s.app.Close(); s.far.Close() })
	for _, end := range []net.Conn{s.app, s.far} {
		end.SetDeadline(time.Now().Add(time.Minute))
	}
	if _, err := io.ReadFull(s.far, make([]byte, len("hello"))); err != nil {
		t.Fatal(err)
	}
}

// listenUpstream is a WhatsApp at an address, with what comes to it.
func listenUpstream(t *testing.T) (at string, coming <-chan net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	conns := make(chan net.Conn)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			select {
			case conns <- conn:
			case <-t.Context().Done():
				conn.Close()
			}
		}
	}()
	return ln.Addr().String(), conns
}

// carry sends as many pieces each way at once, calls at after each that the app
// has got, and checks every byte.
func (s stream) carry(t *testing.T, pieces int, at func(piece int)) {
	t.Helper()
	const size = 1 << 20
	send := func(to io.Writer, seed uint64) {
		for i := range pieces {
			if _, err := to.Write(piece(seed, i, size)); err != nil {
				t.Errorf("piece %d: %v", i, err)
				return
			}
		}
	}
	check := func(from io.Reader, seed uint64, at func(int)) {
		for i := range pieces {
			got := make([]byte, size)
			if _, err := io.ReadFull(from, got); err != nil || !bytes.Equal(got, piece(seed, i, size)) {
				t.Errorf("piece %d: got %v or other bytes, want what was sent", i, err)
				return
			}
			at(i)
		}
	}
	var all sync.WaitGroup
	all.Go(func() { send(s.app, 1) })
	all.Go(func() { send(s.far, 2) })
	all.Go(func() { check(s.far, 1, func(int) {}) })
	check(s.app, 2, at)
	all.Wait()
}

func piece(seed uint64, i, size int) []byte {
	b := make([]byte, size)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(i)
	rand.NewChaCha8(key).Read(b)
	return b
}

// A new origin takes the port over while the old one serves what it holds, also
// when every carrier is cut meanwhile: nothing is lost, and what is new goes to
// the new one.
func TestANewOriginTakesOverFromTheOldOne(t *testing.T) {
	t.Parallel()
	master, at := seal.NewMaster(), ports.Loopback()
	ofOld, comesToOld := listenUpstream(t)
	ofNew, comesToNew := listenUpstream(t)
	env := []string{
		"CULVERT_SECRET_FILE=" + secretFile(t, master.Text()), "CULVERT_LISTEN=" + at, "CULVERT_ADVERTISE=127.0.0.1:0", "CULVERT_DRAIN=60s",
		"CULVERT_ALLOW_PRIVATE=true",
	}
	old := startOrigin(t, append(env, "CULVERT_UPSTREAM_CHAT="+ofOld)...)
	c := newCDN(t, at)
	near := startClient(t, c, master.Client(1))
	long := openStream(t, near, comesToOld, nil)
	var late stream
	long.carry(t, 24, func(piece int) {
		switch piece {
		case 4:
			startOrigin(t, append(env, "CULVERT_UPSTREAM_CHAT="+ofNew)...)
			old.Process.Signal(syscall.SIGTERM)
		case 12:
			late = openStream(t, near, comesToNew, comesToOld)
		case 8, 10, 14, 16, 18:
			c.cut()
		}
	})
	long.app.Close()
	long.far.Close()
	old.wantEnd(t)
	c.cut()
	late.carry(t, 2, func(int) {})
}
