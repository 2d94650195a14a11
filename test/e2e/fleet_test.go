package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/serve"
	"culvert/internal/site"
	"culvert/origin"
)

// member is an origin of a fleet: others reach it over plain HTTP at the
// address that it advertises, clients by TLS.
type member struct {
	far
	front process
}

func (w *world) member() *member {
	w.Helper()
	inside := w.net.listen(w)
	o, err := origin.New(origin.Config{
		Master: w.master, Dial: w.dialUpstream, Site: site.Handler(), Advertise: netip.MustParseAddrPort(inside.Addr().String()),
	})
	must(w, err)
	m := &member{far: far{o, w.serve(o.Wrap(inside), serve.Service{Handler: o})}}
	m.front = w.serve(tls.NewListener(o.Wrap(w.net.listen(w)), serverTLS(certificate())), serve.Service{Handler: o})
	w.Cleanup(m.crash)
	return m
}

// An origin that is about to stop keeps its tunnels, also when their carriers
// die and every new one leads to another origin first: that passes them on.
func TestTunnelsOfADrainingOriginAreFoundThroughAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, newer := w.member(), w.member()
	f := w.forward(old.front.addr)
	n := w.client(1, f.addr()).ready()
	c, down := n.chat(), n.download(1, 24<<20)
	if _, err := c.ping(patience); err != nil {
		t.Fatal(err)
	}
	if err := down.upTo(2<<20, patience); err != nil {
		t.Fatal(err)
	}
	f.target.Store(newer.front.addr)
	ctx, cancel := context.WithCancel(context.Background())
	drained := make(chan error, 1)
	go func() { drained <- old.Drain(ctx) }()
	defer cancel()
	d := n.chat()
	for i := range 4 {
		if _, err := d.ping(patience); err != nil {
			t.Fatalf("a new chat, after %d cuts: %v", i, err)
		}
		if _, err := c.ping(patience); err != nil {
			t.Fatalf("the old chat, after %d cuts: %v", i, err)
		}
		if err := down.upTo(down.check.n+4<<20, patience); err != nil {
			t.Fatalf("the download, after %d cuts: %v", i, err)
		}
		f.kill()
	}
	if err := down.rest(patience); err != nil {
		t.Error(err)
	}
	for _, chat := range []chat{c, d} { // the new one may have come before the news
		if err := chat.finish(); err != nil {
			t.Error(err)
		}
	}
	wantDrained(t, drained)
	if _, err := n.chat().ping(patience); err != nil {
		t.Errorf("a chat after the old origin's end: %v", err)
	}
}

// Of an origin that is gone for good the tunnels are lost, and reset when it was not
// found for half a minute; new ones begin elsewhere at once.
func TestTunnelsOfAnOriginThatIsGoneAreReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, newer := w.member(), w.member()
	f := w.forward(old.front.addr)
	n := w.client(1, f.addr()).ready()
	c := n.chat()
	if _, err := c.ping(patience); err != nil {
		t.Fatal(err)
	}
	f.target.Store(newer.front.addr)
	old.crash()
	f.kill()
	if took, err := n.chat().ping(patience); err != nil || took > 5*time.Second {
		t.Errorf("a new chat took %v, and got %v, want 5 s at most", took, err)
	}
	wantLost(t, c)
}

// What a drain cuts at its end is reset at once: an app that waits for an origin that is gone would
// hear nothing for half a minute.
func TestADrainThatEndsTellsThoseItCuts(t *testing.T) {
	for door, by := range map[string]func(w *world) (*near, func(context.Context) error){
		"stream door": func(w *world) (*near, func(context.Context) error) {
			old, newer := w.member(), w.member()
			f := w.forward(old.front.addr)
			n := w.client(1, f.addr()).ready()
			f.target.Store(newer.front.addr)
			return n, old.Drain
		},
		"gateway door": func(w *world) (*near, func(context.Context) error) {
			a := w.api(apiOptions{})
			return w.clientBy(1, w.textFront(a.clients.addr)).ready(), a.Drain
		},
	} {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				n, drain := by(w)
				c := n.chat()
				if _, err := c.ping(5 * time.Second); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := drain(ctx); err == nil {
					t.Error("got no error from a drain that cut a tunnel")
				}
				c.SetReadDeadline(time.Now().Add(2 * time.Second))
				if _, err := io.ReadAll(c); err == nil || isTimeout(err) {
					t.Errorf("got %v within 2 s of the drain's end, want a reset", err)
				}
			})
		})
	}
}

// wantLost wants chats of an origin that is gone to be reset, which takes half a minute.
func wantLost(t *testing.T, chats ...chat) {
	t.Helper()
	if !long {
		t.Log("that the old tunnels are reset takes half a minute; set CULVERT_LONG")
		return
	}
	end := time.Now().Add(time.Minute)
	for _, c := range chats {
		c.SetReadDeadline(end)
		if _, err := io.ReadAll(c); err == nil || isTimeout(err) {
			t.Errorf("got %v from an origin that is gone, want a reset", err)
		}
	}
}

// wantDrained waits for a drain after all tunnels have ended.
func wantDrained(t *testing.T, drained <-chan error) {
	t.Helper()
	select {
	case err := <-drained:
		if err != nil {
			t.Errorf("got %v, want the old origin empty", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the old origin still has tunnels after their end")
	}
}

// What an origin that drains holds is sought, but not in a hurry: it may be gone.
func TestTunnelsThatNobodyHoldsAnyMoreAreNotSoughtForEver(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var revoked atomic.Bool
		a := w.api(apiOptions{origin: func(c *origin.Config) { c.Revoked = func(uint32) bool { return revoked.Load() } }})
		way := w.forward(a.clients.addr)
		way.delay.Store(int64(20 * time.Millisecond))
		n := w.clientBy(1, w.textFront(way.addr())).ready()
		c := n.chat()
		if _, err := c.ping(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go a.Drain(ctx)
		<-time.After(time.Minute)
		before := way.dials.Load()
		revoked.Store(true)
		<-time.After(10 * time.Minute)
		dials := way.dials.Load() - before
		if dials > 400 {
			t.Errorf("got %d dials in 10 minutes, want 400 at most", dials)
		}
		if got := n.Status().Tunnels; got != 0 {
			t.Errorf("got %d tunnels after 10 minutes without a carrier that worked, want none", got)
		}
	})
}

// The last ack of a tunnel is what the origin's end waits for: without it WhatsApp's
// connection is held for minutes.
func TestAClientThatStopsTellsHowItsLastTunnelEnded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		n := w.clientBy(1, w.textFront(a.clients.addr)).ready()
		c := n.chat()
		_, err := c.ping(5 * time.Second)
		if err := errors.Join(err, c.finish()); err != nil {
			t.Fatal(err)
		}
		n.stop()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		drained := make(chan error, 1)
		go func() { drained <- a.Drain(ctx) }()
		wantDrained(t, drained)
	})
}
