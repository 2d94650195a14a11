package e2e

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"culvert/client/listener"
	"culvert/internal/whatsapp"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/app"
	"culvert/test/standin"
)

// standIn is WhatsApp behind the origin's own dialler.
func (w *world) standIn() (*standin.Server, func(*origin.Config)) {
	w.Helper()
	s, err := standin.New()
	must(w, err)
	chat, media := w.net.listen(w), w.net.listen(w)
	done := make(chan struct{}, 2)
	go func() { s.ServeChat(chat); done <- struct{}{} }()
	go func() { s.ServeMedia(media); done <- struct{}{} }()
	w.Cleanup(func() { s.Close(); <-done; <-done })
	up := &whatsapp.Upstream{Chat: chat.Addr().String(), Media: media.Addr().String(), AllowPrivate: true}
	return s, func(c *origin.Config) { c.Dial = up.Dial }
}

// sniffing is the address of a listener of n for the app's own connections.
func (n *near) sniffing() string {
	return n.w.listenFor(&listener.Listener{Carry: n.Carry}).addr
}

func TestAGenuineServerIsProvedThroughTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, there := w.standIn()
	n := w.client(1, w.edge(w.origin(there).addr).addr).ready()
	c := n.Dial(wire.Service{Kind: wire.Chat})
	defer c.Close()
	proof, err := whatsapp.Prove(t.Context(), c, s.Root())
	if err != nil || proof.LeafSerial != 2 {
		t.Errorf("got %+v and %v, want a proof", proof, err)
	}
	other := n.Dial(wire.Service{Kind: wire.Chat})
	defer other.Close()
	if _, err := whatsapp.Prove(t.Context(), other, whatsapp.Root()); err == nil {
		t.Error("got a proof under WhatsApp's root, want none")
	}
}

func TestMessagesComeBackWhileCarriersAreKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, there := w.standIn()
	f := w.forward(w.origin(there).addr)
	n := w.client(1, f.addr()).ready()
	c, err := net.Dial("tcp", n.sniffing())
	must(t, err)
	defer c.Close()
	f.every.Store(32 << 10)
	f.left.Store(32 << 10)
	trips, err := app.Exchange(t.Context(), c, s.Root(), 300)
	if err != nil || len(trips) != 300 {
		t.Errorf("got %d trips and %v, want 300", len(trips), err)
	}
	t.Logf("%d kills", f.kills.Load())
}

func TestMediaGoesDownAndUpThroughTheRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, there := w.standIn()
	f := w.forward(w.edge(w.origin(there).addr).addr)
	n := w.client(1, f.addr()).ready()
	media := app.NewMedia(s.CAs(), app.Dial(n.sniffing()))
	defer media.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	total := size(6<<20, 100<<20)
	f.every.Store(total / 4)
	f.left.Store(total / 4)
	if err := media.Download(ctx, total, nil); err != nil {
		t.Errorf("down: %v", err)
	}
	media.Host = "media-fra3-1.cdn.whatsapp.net"
	if err := media.Upload(ctx, total, nil); err != nil {
		t.Errorf("up: %v", err)
	}
	t.Logf("%d kills", f.kills.Load())
}

func TestChatInsideTLSIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, there := w.standIn()
	n := w.client(1, w.origin(there).addr).ready()
	c, err := tls.Dial("tcp", n.sniffing(), &tls.Config{ServerName: "proxy.example", InsecureSkipVerify: true})
	must(t, err)
	defer c.Close()
	trips, err := app.Exchange(t.Context(), c, s.Root(), 10)
	if err != nil || len(trips) != 10 {
		t.Errorf("got %d trips and %v, want 10", len(trips), err)
	}
}

func TestOtherHostsAreNotAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, there := w.standIn()
	n := w.client(1, w.origin(there).addr).ready()
	for _, host := range []string{"example.com", "whatsapp.net.example.com", "127.0.0.1", "localhost"} {
		near, far := net.Pipe()
		n.Carry(far, wire.Service{Kind: wire.Media, Host: host}, nil)
		near.SetDeadline(time.Now().Add(patience))
		if _, err := near.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: got bytes, want none", host)
		}
		if e := <-n.ended; e.Reason != wire.NotAllowed {
			t.Errorf("%s: got %v, want %v", host, e.Reason, wire.NotAllowed)
		}
	}
}
