package tunnel

import (
	"io"
	"sync"
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestASilentCarrierIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		active bool
		limit  time.Duration
	}{"active": {true, 8500 * time.Millisecond}, "idle": {false, 25*time.Second + transport.StreamProfile().PongWait + 2*carrier.CheckEvery}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				near, far := n.first()
				if c.active {
					n.near.active.Store(time.Now().UnixNano())
				}
				n.socket(far).change(func(f *fate) { f.silent = true })
				n.socket(near).change(func(f *fate) { f.silent = true })
				began := time.Now()
				for !near.Dead() && time.Since(began) < time.Minute {
					time.Sleep(carrier.CheckEvery)
					near.Check(time.Now())
				}
				if took := time.Since(began); took > c.limit {
					t.Errorf("the client noticed after %v, want %v", took, c.limit)
				}
				time.Sleep(transport.StreamProfile().Silent + 2*sweepEvery - time.Since(began))
				if !far.Dead() {
					t.Error("the origin did not notice")
				}
			})
		})
	}
}

func TestATunnelWithoutACarrierExpires(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		c.Close()
		time.Sleep(wire.HoldTunnel - time.Second)
		n.wantTunnels(t, 1, 1)
		time.Sleep(2 * sweepEvery)
		n.wantTunnels(t, 0, 0)
		for _, s := range []*memStream{app, service} {
			if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("got %v, want a reset", err)
			}
		}
	})
}

// A session that holds nothing is forgotten by the origin's end, once its time is over.
func TestASessionWithoutCarriersAndTunnelsIsForgotten(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		app.Close()
		service.Close()
		time.Sleep(time.Second)
		c.Close()
		time.Sleep(wire.HoldTunnel - time.Second)
		if len(n.far.allSessions()) != 1 {
			t.Error("got no session, want it kept for a while")
		}
		time.Sleep(3 * sweepEvery)
		n.origin.Sweep(time.Now().Add(session.SessionIdle))
		if got := len(n.far.allSessions()) + n.origin.Sessions(); got != 0 {
			t.Errorf("got %d sessions, want none", got)
		}
	})
}

// Carriers may connect again and again and bring nothing: then the stream must hear of
// it as if there were none.
func TestATunnelAtTheGatewayDoorIsHeldFromTheLastCarrierThatBroughtSomething(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]bool{"that died": false, "that was left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				c, _ := n.carrier(fate{}, fate{})
				_, _, tunnel := joined(t, n, c)
				for range 10 * 60 {
					time.Sleep(carrier.CheckEvery)
					c.Check(time.Now())
				}
				if !leave {
					c.Close()
				}
				began := time.Now()
				n.door = session.Gateway
				for n.near.Tunnels() > 0 && time.Since(began) < time.Hour {
					deaf, _ := n.carrier(fate{silent: true}, fate{silent: true})
					tunnel.Attach(deaf, true)
					time.Sleep(6 * time.Second)
					deaf.Close()
					time.Sleep(sweepEvery + time.Second)
				}
				if took := time.Since(began); took < wire.HoldTunnel || took > wire.HoldTunnel+20*time.Second {
					t.Errorf("held for %v, want about %v", took, wire.HoldTunnel)
				}
			})
		})
	}
}

// A path that passes a few bytes of each carrier and then nothing more, silently, still
// brings all, by as many carriers as that takes.
func TestAPathThatFreezesBringsAllInTheEnd(t *testing.T) {
	t.Parallel()
	for name, up := range map[string]bool{"up": true, "down": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) { thaws(t, n, up) })
		})
	}
}

func thaws(t *testing.T, n *Net, up bool) {
	const passes, all = 12 << 10, 300 << 10
	freezes := func() (near, far fate) {
		if f := (fate{passes: passes}); up {
			return f, fate{}
		}
		return fate{}, fate{passes: passes}
	}
	n.keep = freezes
	n.tendAlways()
	c, _ := n.carrier(freezes())
	app, tun := n.dial(c, nil)
	from, to := app, <-n.service(tun.number())
	if !up {
		from, to = to, from
	}
	want := bytesOf(all, 1)
	go func() { from.Write(want); from.CloseWrite() }()
	got, err := io.ReadAll(to)
	if err != nil || string(got) != string(want) {
		t.Errorf("got %d bytes and %v, want %d and an EOF", len(got), err, all)
	}
	if made := n.carriersMade(); made < all/passes || made > 3*all/passes {
		t.Errorf("took %d carriers, want about %d", made, all/passes)
	}
}

// Whoever waits to write to a carrier that is stuck goes on by another, and no goroutine
// stays with it: the pump of a stream, too.
func TestAStuckWriterStopsNoTunnelThatMovedElsewhere(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		for _, c := range append(n.near.Carriers.All(), n.far.Carriers.All()...) {
			n.socket(c).change(func(f *fate) { f.room = 1; f.stuck = true })
		}
		var writing sync.WaitGroup
		want := bytesOf(400<<10, 1)
		writing.Go(func() { a.Write(want); a.CloseWrite() })
		time.Sleep(time.Second)
		next, _ := n.carrier(fate{}, fate{})
		tun := n.near.allTunnels()[0]
		old := tun.Carrier()
		tun.Attach(next, false)
		time.Sleep(time.Second)
		go b.Write([]byte("still here"))
		wantRead(t, a, "still here")
		old.Close() // what it took comes by next
		got, err := io.ReadAll(b)
		if err != nil || string(got) != string(want) {
			t.Errorf("got %d bytes and %v, want %d and an EOF", len(got), err, len(want))
		}
		writing.Wait()
	})
}

// The peer had said that it had all, and a carrier died while more was being made for it.
func TestWhatWasInTheMakingWhenItsCarrierDiedGoesAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.first()
		app, service, near := joined(t, n, c)
		app.Write([]byte("one"))
		wantRead(t, service, "one")
		time.Sleep(time.Second)
		n.watch(c, func(f wire.Frame) {
			if f.Kind == wire.Data && !c.Dead() {
				c.Close()
				time.Sleep(time.Second) // until whoever serves it has ended
			}
		})
		go app.Write([]byte("two"))
		time.Sleep(2 * time.Second)
		next, _ := n.carrier(fate{}, fate{})
		near.Attach(next, true)
		go app.Write([]byte("three"))
		service.SetReadDeadline(time.Now().Add(time.Minute))
		wantRead(t, service, "twothree")
	})
}
