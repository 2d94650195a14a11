package tunnel

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// beginsTwice opens tunnel 1 by a carrier that the client gives up, and then by
// another. The first Open frame is still on its way: late brings it to the origin.
func beginsTwice(t *testing.T, n *Net) (app *memStream, late func() *carrier.Carrier) {
	one, farOne := n.carrier(fate{silent: true}, fate{silent: true})
	var open []byte
	n.socket(one).log = func(b []byte) { open = bytes.Clone(b) }
	app, tunnel := n.dial(one, 1, []byte("early"))
	synctest.Wait()
	one.Close()
	synctest.Wait()
	two, _ := n.carrier(fate{}, fate{})
	tunnel.Attach(two, true)
	synctest.Wait()
	return app, func() *carrier.Carrier {
		if err := n.socket(farOne).owner.Deliver(open); err != nil {
			t.Error(err)
		}
		return farOne
	}
}

// Whenever a copy of the Open frame comes that was sent before, by a carrier that
// the client has left, the origin finds back to the one in use.
func TestALateOpenDoesNotKeepTheTunnel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration // the Open that was sent last
		lives time.Duration // the carrier that brings the late one, at the origin
	}{
		"before the Accept, by a carrier that dies":      {0, 0},
		"before the Accept, by a carrier that is silent": {0, time.Minute},
		"after the Accept, by a carrier that dies":       {time.Second, 0},
		"after the Accept, by a carrier that is silent":  {time.Second, time.Minute},
		"with the Accept": {acceptDelay, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				app, late := beginsTwice(t, n)
				time.Sleep(c.after)
				ghost := late()
				time.AfterFunc(c.lives, ghost.Close)
				service := <-n.service(1)
				began := time.Now()
				service.Write([]byte("an answer"))
				got := make([]byte, 9)
				io.ReadFull(app, got)
				if took := time.Since(began); string(got) != "an answer" || took > time.Second {
					t.Errorf("got %q after %v, want the answer at once", got, took)
				}
			})
		})
	}
}

// One that comes when the tunnel is in use, or over, changes nothing.
func TestALateOpenOfATunnelThatIsInUseOrOverIsNoTunnel(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		app, late := beginsTwice(t, n)
		service := <-n.service(1)
		app.Write([]byte("more"))
		wantRead(t, service, "earlymore")
		late().Close()
		service.Write([]byte("an answer"))
		wantRead(t, app, "an answer")
		app.Close()
		service.Close()
		time.Sleep(time.Second)
		if late(); n.far.Tunnels() > 0 || n.near.Tunnels() > 0 {
			t.Errorf("got %d and %d tunnels after the end, want none", n.near.Tunnels(), n.far.Tunnels())
		}
	})
}

func wantRead(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Errorf("got %q and %v, want %q", got, err, want)
	}
}

// An Open frame that went by two carriers may be refused by both. Only the one
// that took the latest is believed: the other may speak of the one before it.
func TestAnOpenThatIsRefusedTwiceIsMadeAnewOnce(t *testing.T) {
	t.Parallel()
	for _, why := range []wire.Reason{wire.Stale, wire.Clock} {
		for name, late := range map[string]time.Duration{"before the Accept": 10 * time.Millisecond, "after it": time.Second} {
			t.Run(why.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T, n *Net) { refusedTwice(t, n, why, late) })
			})
		}
	}
}

func refusedTwice(t *testing.T, n *Net, why wire.Reason, late time.Duration) {
	refusals, made := 0, 0
	n.refuse = func() (wire.Reason, bool) { refusals++; return why, refusals <= 2 }
	start := n.hand.Start
	n.hand.Start = func(id wire.TunnelID, early []byte) (Start, error) {
		s, err := start(id, early)
		s.Again = func(wire.Reason, time.Time) (Start, error) { made++; return n.hand.Start(id, early) }
		return s, err
	}
	slow, _ := n.carrier(fate{}, fate{delay: late})
	quick, _ := n.carrier(fate{delay: 10 * time.Millisecond}, fate{})
	app, tunnel := n.dial(slow, 1, nil)
	synctest.Wait()
	tunnel.Attach(quick, false)
	(<-n.service(1)).Write([]byte("an answer"))
	time.Sleep(2 * late)
	wantRead(t, app, "an answer")
	if made != 1 {
		t.Errorf("made %d Open frames anew, want 1", made)
	}
}

// Two origins may each make a tunnel of one Open frame. The client's frames end
// no carrier at the one whose Accept it has not taken: others use it, too.
func TestATunnelThatIsNotTheClientsIsToldApart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, _, tunnel := joined(t, n, 1, c)
		other := NewTable(Events{Open: func(*carrier.Carrier, wire.TunnelID, []byte) error { return nil }}, nil)
		defer other.Close()
		to := func() (near, far *carrier.Carrier) {
			a, b := socketPair(1, fate{}, fate{})
			near, far = n.near.NewCarrier(a, 0), other.NewCarrier(b, 7)
			n.serve(near, far)
			return near, far
		}
		_, ghost := to()
		near, far := to()
		o, _ := n.hand.Open(1, []byte("1"))
		o.Keys = foreignKeys{}
		other.AcceptTunnel(ghost, o)
		tunnel.Attach(near, true)
		if _, err := app.Read(make([]byte, 1)); err == nil || near.Dead() || far.Dead() {
			t.Errorf("got %v, dead %v, want a reset stream and a living carrier", err, near.Dead())
		}
	})
}

type foreignKeys struct{}

func (foreignKeys) Seal(buf []byte, _ wire.Kind, _ uint64) []byte {
	return append(buf, make([]byte, wire.Overhead)...)
}
func (foreignKeys) Open([]byte, wire.Kind, uint64) ([]byte, error) { return nil, errNotGenuine }
func (foreignKeys) Forget()                                        {}
