package tunnel

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// beginsTwice opens tunnel 1 by a carrier that the client gives up, and then by another.
// What went by the first is still on its way: late brings it to the origin.
func beginsTwice(t *testing.T, n *Net) (app *memStream, late func() *carrier.Carrier) {
	n.first()
	a, b := socketPair(99, fate{silent: true}, fate{silent: true})
	one, farOne := n.between(n.session, a, b, a, b)
	var sent [][]byte
	a.log = func(b []byte) { sent = append(sent, bytes.Clone(b)) }
	app, tunnel := n.dial(one, []byte("early"))
	n.serve(one, farOne)
	time.Sleep(time.Second)
	one.Close()
	synctest.Wait()
	two, _ := n.carrier(fate{}, fate{})
	tunnel.Attach(two, true)
	synctest.Wait()
	return app, func() *carrier.Carrier {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.silentNoMore(sent)
		return farOne
	}
}

// silentNoMore has what was sent come after all, once. s.mu is held.
func (s *memSocket) silentNoMore(sent [][]byte) {
	for _, m := range sent {
		s.peer.in = append(s.peer.in, message{bytes.Clone(m), time.Now()})
	}
	s.peer.cut = false
	s.wake.Broadcast()
}

// Whenever a copy of the Open frame comes that was sent before, by a carrier that the
// client has left, the origin finds back to the one in use.
func TestALateOpenDoesNotKeepTheTunnel(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration // the Open that was sent last
		lives time.Duration // the carrier that brings the late one, at the origin
	}{
		"before the first frame, by a carrier that dies":      {0, 0},
		"before the first frame, by a carrier that is silent": {0, time.Minute},
		"after the first frame, by a carrier that dies":       {3 * time.Second, 0},
		"after the first frame, by a carrier that is silent":  {3 * time.Second, time.Minute},
		"with the first frame":                                {time.Second, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				n.dialAfter = time.Second
				app, late := beginsTwice(t, n)
				time.Sleep(c.after)
				ghost := late()
				time.AfterFunc(c.lives, ghost.Close)
				service := <-n.service(1)
				began := time.Now()
				service.Write([]byte("an answer"))
				wantRead(t, app, "an answer")
				if took := time.Since(began); took > time.Second {
					t.Errorf("got the answer after %v, want it at once", took)
				}
			})
		})
	}
}

// A copy that comes when the tunnel is in use, or over, changes nothing.
func TestALateOpenOfATunnelThatIsInUseOrOverIsNoTunnel(t *testing.T) {
	t.Parallel()
	for name, over := range map[string]bool{"in use": false, "over": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doors(t, func(t *testing.T, n *Net) {
				app, late := beginsTwice(t, n)
				service := <-n.service(1)
				app.Write([]byte("more"))
				wantRead(t, service, "earlymore")
				if !over {
					late()
					time.Sleep(time.Second)
				}
				service.Write([]byte("an answer"))
				wantRead(t, app, "an answer")
				app.Close()
				service.Close()
				time.Sleep(time.Second)
				if over {
					late()
					time.Sleep(time.Second)
				}
				n.wantTunnels(t, 0, 0)
				if n.begun[1] != 1 {
					t.Errorf("the tunnel began %d times, want once", n.begun[1])
				}
			})
		})
	}
}

// A tunnel of which nobody has said anything lives as long as the app likes.
func TestATunnelThatSaysNothingIsKept(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		for range 60 {
			time.Sleep(10 * time.Second)
			c.Ping()
		}
		app.Write([]byte("hello"))
		wantRead(t, service, "hello")
	})
}

// The Open and the Use that follow each other by a carrier of the gateway door come in
// any order, and twice, and make one tunnel.
func TestAnOpenThatComesTwiceMakesOneTunnel(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.dialAfter = time.Second
		wild := fate{twice: n.gateway(), shuffle: n.gateway(), delay: 3 * time.Millisecond}
		c, _ := n.carrier(wild, wild)
		time.Sleep(time.Second)
		app, tun := n.dial(c, []byte("early"))
		time.Sleep(2 * time.Millisecond)
		next, _ := n.carrier(wild, wild)
		tun.Attach(next, false)
		talk(t, app, func() *memStream { return <-n.service(1) }, nil, []byte("early"), []byte("down"), 9)
		if n.begun[1] != 1 {
			t.Errorf("the tunnel began %d times, want once", n.begun[1])
		}
	})
}

// Two Opens that come at once by one carrier are one tunnel; so is one whose carrier died
// while the origin dialled.
func TestAnOpenIsSentAgainUntilTheOriginHasSaidSomething(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		n.dialAfter = 10 * time.Second
		n.keep = func() (fate, fate) { return fate{}, fate{} }
		c, _ := n.carrier(fate{}, fate{})
		opens := 0
		app, _ := n.dial(c, []byte("early"))
		for range 4 {
			time.Sleep(2 * time.Second)
			for _, c := range n.near.Carriers.All() {
				n.watch(c, func(f wire.Frame) {
					if f.Kind == wire.Open {
						opens++
					}
				})
				c.Close()
			}
		}
		talk(t, app, func() *memStream { return <-n.service(1) }, []byte("up"), []byte("earlyup"), []byte("down"), 9)
		if n.begun[1] != 1 {
			t.Errorf("the tunnel began %d times, want once", n.begun[1])
		}
	})
}
