package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/serve"
	"culvert/internal/wire"
)

// A front that is dead, in each of the ways in which one can be, costs little when another
// is good: a second or so, or the head start of one that is silent.
func TestADeadFirstFrontIsPassedOver(t *testing.T) {
	for name, kill := range map[string]func(*world, *forwarder){
		"refused": func(_ *world, f *forwarder) { f.refuse.Store(true) },
		"silent":  func(_ *world, f *forwarder) { f.deaf.Store(true) },
		"of another name": func(w *world, f *forwarder) {
			ln := tls.NewListener(w.net.listen(w), serverTLS(makeCertificate()))
			f.target.Store(w.serve(ln, serve.Service{}).addr)
		},
		"a website": func(w *world, f *forwarder) {
			ln := tls.NewListener(w.net.listen(w), serverTLS(certificate()))
			f.target.Store(w.serve(ln, serve.Service{Handler: plain()}).addr)
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				o := w.origin()
				bad, good := w.forward(o.addr), w.forward(o.addr)
				bad.delay.Store(int64(20 * time.Millisecond))
				good.delay.Store(int64(20 * time.Millisecond))
				kill(w, bad)
				began := time.Now()
				n := w.client(1, bad.addr(), good.addr()).ready()
				most := 1500 * time.Millisecond
				if name == "silent" { // as where the ClientHello of its name is dropped
					most = 4500 * time.Millisecond
				}
				if took := time.Since(began); took > most {
					t.Errorf("up after %v, want %v at most", took, most)
				}
				if got := n.Status().Front; got != 1 {
					t.Errorf("front %d is in use, want 1", got)
				}
				good.kill()
				before := bad.dials.Load()
				if _, err := n.chat().ping(5 * time.Second); err != nil {
					t.Error(err)
				}
				if got := bad.dials.Load() - before; got != 0 {
					t.Errorf("the dead front was dialled %d times more, want the last good one first", got)
				}
			})
		})
	}
}

// Two names at once show whoever watches that both are fronts.
func TestTheSecondFrontIsNotTouchedWhileTheFirstAnswers(t *testing.T) {
	for _, rtt := range []time.Duration{0, 110 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond} {
		t.Run(rtt.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				o := w.origin()
				one, two := w.forward(o.addr), w.forward(o.addr)
				one.delay.Store(int64(rtt / 2))
				n := w.client(1, one.addr(), two.addr()).ready()
				for range 3 { // dials again, when it is known what they take
					dials := one.dials.Load()
					if _, err := n.chat().ping(time.Minute); err != nil {
						t.Error(err)
					}
					<-time.After(time.Minute) // a carrier that dies young is the front's fault
					one.kill()
					if _, err := n.chat().ping(time.Minute); err != nil {
						t.Error(err)
					}
					if one.dials.Load() == dials {
						t.Error("the first front was not dialled again")
					}
				}
				if got := two.dials.Load(); got != 0 {
					t.Errorf("the second front was dialled %d times, want never", got)
				}
			})
		})
	}
}

func TestTunnelsMoveWhenTheirFrontFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.origin()
		one, two := w.forward(o.addr), w.forward(w.origin().addr)
		two.target.Store(o.addr)
		one.delay.Store(int64(20 * time.Millisecond))
		two.delay.Store(int64(20 * time.Millisecond))
		n := w.client(1, one.addr(), two.addr()).ready()
		c, d := n.chat(), n.download(1, 16<<20)
		if err := d.upTo(1<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		for i, way := range []*forwarder{one, two} {
			(&[]*forwarder{one, two}[1-i].deaf).Store(false)
			way.deaf.Store(true)
			way.silence(true, true)
			took, err := c.ping(time.Minute)
			if err != nil || took > 12*time.Second {
				t.Errorf("chat: got %v after %v, want an answer within 12 s", err, took)
			}
			if err := d.upTo(d.check.n+4<<20, time.Minute); err != nil {
				t.Error(err)
			}
		}
		if err := d.rest(time.Minute); err != nil {
			t.Error(err)
		}
	})
}

func TestAWrongClockIsLearnedFromTheFront(t *testing.T) {
	for name, off := range map[string]time.Duration{"an hour late": -time.Hour, "a day ahead": 24 * time.Hour, "four minutes late": -4 * time.Minute, "two minutes late": -2 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				o := w.origin()
				<-time.After(10 * time.Minute) // else a late clock is before the origin's start
				now := func() time.Time { return time.Now().Add(off) }
				n := w.clientOf(client.Config{Link: &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{w.front(o.addr)}}, Now: now}).ready()
				if _, err := n.chat().ping(time.Second); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestALinkForAnotherOriginOpensNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.origin()
		keys := w.master.Client(1)
		keys.Origin[0] ^= 1
		n := w.clientOf(client.Config{Link: &link.Link{Keys: keys, Fronts: []link.Front{w.front(o.addr)}}})
		c := n.chat()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := n.WaitReady(ctx); !errors.Is(err, client.ErrNotLetIn) {
			t.Errorf("got %v, want a website", err)
		}
		c.SetReadDeadline(time.Now().Add(time.Hour))
		_, err := io.ReadAll(c)
		wantReset(t, "the app", err)
		if e := <-n.ended; e.Reason != wire.Expired {
			t.Errorf("got %v, want %v", e.Reason, wire.Expired)
		}
	})
}

// A censor freezes each connection of a front a second after it has begun.
func TestAFrontThatFreezesIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		stream, gateway := w.forward(a.streamDoor(w).addr), w.forward(a.clients.addr)
		stream.delay.Store(int64(20 * time.Millisecond))
		gateway.delay.Store(int64(20 * time.Millisecond))
		n := w.clientBy(1, w.front(stream.addr()), w.textFront(gateway.addr())).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		defer close(stop)
		go stream.freezeAll(time.Second, stop)
		slow := 0
		for range 60 {
			took, err := c.ping(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if took > time.Second {
				slow++
			}
			<-time.After(5 * time.Second)
		}
		if slow > 10 {
			t.Errorf("got %d slow answers of 60 and %d dials of the front, want the other taken", slow, stream.dials.Load())
		}
	})
}

// freezeAll silences each connection when it has been seen for that long.
func (f *forwarder) freezeAll(after time.Duration, stop <-chan struct{}) {
	seen := map[*pathway]time.Time{}
	for {
		select {
		case <-stop:
			return
		case now := <-time.After(100 * time.Millisecond):
			for _, p := range f.all() {
				if seen[p].IsZero() {
					seen[p] = now
				}
				p.silent[0].Store(now.Sub(seen[p]) >= after)
				p.silent[1].Store(now.Sub(seen[p]) >= after)
			}
		}
	}
}
