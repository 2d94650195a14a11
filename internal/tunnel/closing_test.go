package tunnel

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// bubble runs f with a net in a synctest bubble and sees that nothing is left.
func bubble(t *testing.T, f func(t *testing.T, n *Net)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t)
		f(t, n)
		n.stop()
	})
}

// joined opens a tunnel by a carrier of its own and returns both ends' streams.
func joined(t *testing.T, n *Net, id wire.TunnelID, c *carrier.Carrier) (app, service *memStream, near *Tunnel) {
	t.Helper()
	app, near = n.dial(c, id, nil)
	service = <-n.service(id)
	time.Sleep(acceptDelay + time.Millisecond)
	synctest.Wait()
	return app, service, near
}

// eitherWay runs f with the app's stream first, then with the service's.
func eitherWay(t *testing.T, f func(t *testing.T, n *Net, a, b *memStream)) {
	t.Helper()
	for name, swap := range map[string]bool{"near": false, "far": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				c, _ := n.carrier(fate{delay: time.Millisecond}, fate{delay: time.Millisecond})
				app, service, _ := joined(t, n, 1, c)
				if swap {
					app, service = service, app
				}
				f(t, n, app, service)
			})
		})
	}
}

func (n *Net) wantTunnels(t *testing.T, near, far int) {
	t.Helper()
	if a, b := n.near.Tunnels(), n.far.Tunnels(); a != near || b != far {
		t.Errorf("got %d near and %d far ends of tunnels, want %d and %d", a, b, near, far)
	}
}

func TestADirectionEndsWithoutTheOther(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		a.Write([]byte("all that I have"))
		a.CloseWrite()
		if got, err := io.ReadAll(b); err != nil || string(got) != "all that I have" {
			t.Errorf("got %q and %v, want all and an EOF", got, err)
		}
		n.wantTunnels(t, 1, 1)
		want := bytesOf(300<<10, 3)
		go func() { b.Write(want); b.CloseWrite() }()
		if got, err := io.ReadAll(a); err != nil || !bytes.Equal(got, want) {
			t.Errorf("got %d bytes and %v, want %d and an EOF", len(got), err, len(want))
		}
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
		for _, e := range n.ends() {
			if e.Reason != 0 {
				t.Errorf("got an end by %v, want one in order", e.Reason)
			}
		}
	})
}

func TestATunnelEndsAtBothEndsWhileItsCarrierLives(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		a.CloseWrite()
		time.Sleep(time.Second)
		b.CloseWrite()
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
	})
}

func TestTheLastAckMayBeLost(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, 1, c)
		service.CloseWrite()
		time.Sleep(time.Second)
		n.socket(far).change(func(f *fate) { f.silent = true }) // the origin has all, and its ack is lost
		app.CloseWrite()
		time.Sleep(time.Second)
		n.wantTunnels(t, 1, 0)
		n.keep = func() (fate, fate) { return fate{}, fate{} }
		c.Close()
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
		if e := n.ends(); len(e) != 2 || e[0].Reason != 0 || e[1].Reason != 0 {
			t.Errorf("got %v, want two ends in order", e)
		}
	})
}

func TestAResetStaysAReset(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		a.Write([]byte("first"))
		io.ReadFull(b, make([]byte, 5))
		a.SetLinger(0)
		a.Close()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
		}
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
	})
}

func TestWhateverTheReasonAResetIsNoEOF(t *testing.T) {
	t.Parallel()
	for _, why := range []wire.Reason{0, wire.Aborted, wire.Unknown, wire.Busy, wire.Clock, 99, 1 << 61} {
		bubble(t, func(t *testing.T, n *Net) {
			c, _ := n.carrier(fate{}, fate{})
			app, _, tun := joined(t, n, 1, c)
			tun.deliver(c, wire.Header{Kind: wire.Reset, Tunnel: 1, Seq: uint64(why)}, nil)
			if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("reason %d: got %v, want %v", why, err, syscall.ECONNRESET)
			}
		})
	}
}

// What is sent before the peer's Reset comes finds no tunnel there, and is answered
// by another Reset.
func TestTheFirstResetSaysWhy(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		for id := range wire.TunnelID(50) { // the scheduler orders the goroutines that give up
			_, _, tun := joined(t, n, id+1, c)
			for _, why := range []wire.Reason{wire.Unreachable, wire.Unknown} {
				tun.deliver(c, wire.Header{Kind: wire.Reset, Tunnel: id + 1, Seq: uint64(why)}, nil)
			}
		}
		synctest.Wait()
		for _, e := range n.ends() {
			if e.FromPeer && e.Reason != wire.Unreachable {
				t.Errorf("got %v, want %v", e.Reason, wire.Unreachable)
			}
		}
	})
}

// An ack that comes after the stream has ended, and before the Fin is on its
// way, must not end the tunnel.
func TestAFinThatIsNotSentYetIsNotAcked(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, c)
		service.CloseWrite()
		time.Sleep(time.Second)
		tun.mu.Lock()
		tun.keys = finKeys{tun.keys, func() { tun.deliver(c, wire.Header{Kind: wire.Ack, Tunnel: 1}, nil) }}
		tun.mu.Unlock()
		app.CloseWrite()
		if _, err := io.ReadAll(service); err != nil {
			t.Errorf("got %v, want an EOF", err)
		}
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
	})
}

// finKeys call before when they seal a Fin.
type finKeys struct {
	Keys
	before func()
}

func (k finKeys) Seal(buf []byte, kind wire.Kind, pos uint64) []byte {
	if kind == wire.Fin {
		k.before()
	}
	return k.Keys.Seal(buf, kind, pos)
}
