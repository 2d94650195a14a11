package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/client/listener"
	"culvert/edge/passthrough"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/selfsigned"
	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
	"culvert/origin"
)

// long says that time is no matter: kills by the hundred, real half minutes.
var long = os.Getenv("CULVERT_LONG") != ""

// bubbles is "only" for the tests in bubbles of synctest alone, "no" for the others.
var bubbles = os.Getenv("CULVERT_BUBBLES")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a relay in pieces, and what lies around it.
type world struct {
	testing.TB
	net    network
	master seal.Master
	up     *upstream
}

// newWorld makes a world on loopback. When the test ends no goroutine that it
// started may be left.
func newWorld(t testing.TB) *world {
	if bubbles == "only" {
		t.Skip("CULVERT_BUBBLES=only")
	}
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("test", t.Name())))
	t.Cleanup(func() { checkGoroutines(t) })
	return newWorldOn(t, new(loopback))
}

func newWorldOn(t testing.TB, n network) *world {
	return &world{TB: t, net: n, master: seal.NewMaster(), up: newUpstream(t, n)}
}

var labelled = regexp.MustCompile(`(?m)^(\d+) @ .*\n# labels: (.*)$`)

// checkGoroutines counts those that bear the test's label, which goroutines
// inherit; the first is the one that counts.
func checkGoroutines(t testing.TB) {
	var left int
	ok := eventually(5*time.Second, func() bool {
		var all bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&all, 1)
		left = 0
		for _, m := range labelled.FindAllStringSubmatch(all.String(), -1) {
			if strings.Contains(m[2], strconv.Quote(t.Name())) {
				n, _ := strconv.Atoi(m[1])
				left += n
			}
		}
		return left <= 1
	})
	if !ok {
		var all bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&all, 1)
		var mine []string
		for part := range strings.SplitSeq(all.String(), "\n\n") {
			if strings.Contains(part, strconv.Quote(t.Name())) {
				mine = append(mine, part)
			}
		}
		t.Errorf("got %d goroutines left, want none:\n%s", left-1, strings.Join(mine, "\n\n"))
	}
}

// eventually asks until it is told yes or the time is over.
func eventually(within time.Duration, yes func() bool) bool {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-end.C:
			return yes()
		}
	}
	return true
}

func wantSoon(t testing.TB, within time.Duration, what string, yes func() bool) {
	t.Helper()
	if !eventually(within, yes) {
		t.Errorf("not within %v: %s", within, what)
	}
}

// certificate is good at all times, also in a bubble, where it is 2000.
var certificate = sync.OnceValue(makeCertificate)

func makeCertificate() tls.Certificate {
	cert, err := selfsigned.Make(time.Date(1999, 1, 2, 0, 0, 0, 0, time.UTC), 100*365*24*time.Hour, "front.example", "127.0.0.1")
	if err != nil {
		panic(err)
	}
	return *cert
}

func serverTLS(c tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
}

// process is a server that runs until stop.
type process struct {
	addr string
	stop func() // returns when it has gone
}

var discard = slog.New(slog.DiscardHandler)

// serve runs s as the mains do.
func (w *world) serve(ln net.Listener, s serve.Service) process {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	addr := ln.Addr().String()
	s.Listener, s.Log, s.Admin = ln, discard, serve.Off
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	stop := func() { cancel(); <-done }
	w.Cleanup(stop)
	return process{addr, stop}
}

// far is an origin's process.
type far struct {
	*origin.Origin
	process
}

// crash ends it at once. What it had is gone.
func (f far) crash() {
	f.Close()
	f.stop()
}

func (w *world) origin(change ...func(*origin.Config)) far { return w.originOn(true, change...) }

func (w *world) originOn(secure bool, change ...func(*origin.Config)) far {
	w.Helper()
	cfg := origin.Config{Master: w.master, Dial: w.dialUpstream, Site: site.Handler()}
	for _, c := range change {
		c(&cfg)
	}
	o, err := origin.New(cfg)
	must(w, err)
	ln := o.Wrap(w.net.listen(w))
	if secure {
		ln = tls.NewListener(ln, serverTLS(certificate()))
	}
	f := far{o, w.serve(ln, serve.Service{Handler: o})}
	w.Cleanup(f.crash)
	return f
}

func (w *world) dialUpstream(ctx context.Context, _ wire.Service) (net.Conn, error) {
	return w.net.dial(ctx, "tcp", w.up.ln.Addr().String())
}

// edge is a pass-through edge in front of the origin at addr.
func (w *world) edge(addr string) process {
	w.Helper()
	to, err := url.Parse("https://" + addr)
	must(w, err)
	roots := x509.NewCertPool()
	roots.AddCert(certificate().Leaf)
	p := passthrough.New(to, passthrough.Options{Roots: roots})
	ln := tls.NewListener(w.net.listen(w), serverTLS(certificate()))
	return w.serve(ln, serve.Service{Handler: p, Drain: p.Drain})
}

func (w *world) forward(addr string) *forwarder {
	w.Helper()
	return newForwarder(w, w.net, addr)
}

func (w *world) front(addr string) link.Front {
	return link.Front{Host: addr, Path: "/", Pins: []link.Pin{link.PinOf(certificate().Leaf)}}
}

// near is a client's process, whose listener takes every connection for chat.
type near struct {
	*client.Client
	process
	w     *world
	ended chan tunnel.End
}

func (w *world) client(user uint32, fronts ...string) *near {
	w.Helper()
	l := &link.Link{Keys: w.master.Client(user)}
	for _, f := range fronts {
		l.Fronts = append(l.Fronts, w.front(f))
	}
	return w.clientOf(client.Config{Link: l})
}

func (w *world) clientOf(cfg client.Config) *near {
	w.Helper()
	n := &near{w: w, ended: make(chan tunnel.End, 4096)}
	if cfg.Dialer == nil {
		cfg.Dialer = &front.Dialer{Connect: w.net.dial}
	}
	cfg.Ended = func(e tunnel.End) { n.ended <- e }
	c, err := client.New(cfg)
	must(w, err)
	n.Client = c
	n.process = w.listenFor(&listener.Listener{Carry: c.Carry, Raw: true})
	n.run(c.Run)
	return n
}

func (n *near) run(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); run(ctx) }()
	end := n.stop
	n.stop = func() { end(); cancel(); <-done }
	n.w.Cleanup(n.stop)
}

func (w *world) listenFor(l *listener.Listener) process {
	ctx, cancel := context.WithCancel(context.Background())
	ln := w.net.listen(w)
	l.Log = discard
	done := make(chan struct{})
	go func() { defer close(done); l.Serve(ctx, ln) }()
	stop := func() { cancel(); <-done }
	w.Cleanup(stop)
	return process{ln.Addr().String(), stop}
}

func (n *near) ready() *near {
	n.w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(n.w, n.WaitReady(ctx))
	return n
}

// app opens a connection as the app does.
func (n *near) app() net.Conn {
	n.w.Helper()
	c, err := n.w.net.dial(context.Background(), "tcp", n.addr)
	must(n.w, err)
	n.w.Cleanup(func() { c.Close() })
	return c
}

// patience bounds what a test waits for an exchange, of which the longest take a
// minute with the race detector beside others.
const patience = 3 * time.Minute

// order runs o over a connection of its own.
func (n *near) order(o order) error {
	c := n.app()
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * patience)) // the longest has half a gigabyte, and perhaps the race detector beside it
	return o.run(c)
}

// chat is an app's connection that is echoed.
type chat struct{ net.Conn }

func (n *near) chat() chat {
	c := n.app()
	c.Write(order{Do: echo}.bytes())
	return chat{c}
}

// ping sends a message and waits for it.
func (c chat) ping(within time.Duration) (time.Duration, error) {
	msg := make([]byte, 100)
	rand.Read(msg)
	began := time.Now()
	c.SetDeadline(began.Add(within))
	if _, err := c.Write(msg); err != nil {
		return 0, err
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil {
		return 0, fmt.Errorf("after %v: %w", time.Since(began).Round(time.Millisecond), err)
	}
	if !bytes.Equal(got, msg) {
		return 0, errBytes
	}
	return time.Since(began), nil
}

// plain is a website that is none of ours.
func plain() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
}
