package whatsmeow

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/client"
	"culvert/client/front"
	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/whatsapp"
	"culvert/origin"
	"culvert/test/standin"
)

// patience bounds a whole conversation, also with the race detector.
const patience = time.Minute

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// run runs serve until the test ends, when stop must make it return.
func run(t *testing.T, serve func(), stop func()) {
	done := make(chan struct{})
	go func() { defer close(done); serve() }()
	t.Cleanup(func() { stop(); <-done })
}

// standIn is a WhatsApp whose chat listens at addr.
func standIn(t *testing.T) (s *standin.Server, addr string) {
	t.Helper()
	s, err := standin.New()
	must(t, err)
	l := listen(t)
	run(t, func() { s.ServeChat(l) }, func() { s.Close() })
	return s, l.Addr().String()
}

// The stand-in must look like WhatsApp to a client that shares no code with it.
func TestWhatsmeowTalksToTheStandIn(t *testing.T) {
	t.Parallel()
	s, addr := standIn(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	Talk(ctx, t, addr, s.Root(), func() {})
}

// A client that works must notice nothing of the relay, while every carrier is
// cut before each of its messages.
func TestWhatsmeowTalksThroughTheRelay(t *testing.T) {
	t.Parallel()
	s, chat := standIn(t)
	master := seal.NewMaster()
	far, pin := startOrigin(t, master, chat)
	path := &cutter{listener: listen(t), target: far}
	run(t, path.serve, func() { path.listener.Close(); path.cut() })
	near := startClient(t, master, link.Front{Host: path.listener.Addr().String(), Path: "/", Pins: []link.Pin{pin}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	Talk(ctx, t, near, s.Root(), path.cut)
}

// startOrigin runs an origin whose WhatsApp is at chat.
func startOrigin(t *testing.T, master seal.Master, chat string) (addr string, pin link.Pin) {
	t.Helper()
	up := &whatsapp.Upstream{Chat: chat, AllowPrivate: true}
	o, err := origin.New(origin.Config{Master: master, Dial: up.Dial})
	must(t, err)
	server := httptest.NewUnstartedServer(o)
	server.TLS = &tls.Config{NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
	server.Listener = o.Wrap(server.Listener)
	server.StartTLS()
	t.Cleanup(func() { o.Close(); server.Close() })
	return strings.TrimPrefix(server.URL, "https://"), link.PinOf(server.Certificate())
}

// startClient runs a client with one front and a listener for an app at addr.
func startClient(t *testing.T, master seal.Master, f link.Front) (addr string) {
	t.Helper()
	l := &link.Link{Keys: master.Client(1), Fronts: []link.Front{f}}
	c, err := client.New(client.Config{Link: l, Dialer: new(front.Dialer)})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	run(t, func() { c.Run(ctx) }, cancel)
	must(t, c.WaitReady(t.Context()))
	app := listen(t)
	run(t, func() { (&listener.Listener{Carry: c.Carry}).Serve(ctx, app) }, cancel)
	return app.Addr().String()
}

// cutter is a path of TCP connections to target, which cut resets all at once.
type cutter struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (c *cutter) serve() {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		group.Go(func() { c.pass(near) })
	}
}

func (c *cutter) pass(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	if c.conns == nil {
		c.conns = map[net.Conn]struct{}{}
	}
	c.conns[near], c.conns[far] = struct{}{}, struct{}{}
	c.mu.Unlock()
	var group sync.WaitGroup
	group.Go(func() { io.Copy(far, near); far.Close() })
	group.Go(func() { io.Copy(near, far); near.Close() })
	group.Wait()
}

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		delete(c.conns, conn)
	}
}
