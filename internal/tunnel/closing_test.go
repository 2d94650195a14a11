package tunnel

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"
	"time"

	"culvert/internal/session"
	"culvert/internal/wire"
)

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
	doors(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
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

// The client's last ack, too: the origin asks by what it sends again, and the session
// remembers how the tunnel ended.
func TestTheClientsLastAckMayBeLost(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		app.CloseWrite()
		time.Sleep(time.Second)
		n.socket(c).change(func(f *fate) { f.silent = true })
		service.CloseWrite()
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 1)
		c.Close()
		time.Sleep(time.Second)
		next, _ := n.carrier(fate{}, fate{})
		if !n.session.HasClosures() {
			t.Error("got no last word to tell, want one: its carrier died")
		}
		n.session.SendClosures(next)
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
		go a.Write([]byte("first"))
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
	for _, why := range []wire.Reason{1, wire.Unknown, wire.Busy, wire.Expired, 99, 255} {
		bubble(t, func(t *testing.T, n *Net) {
			c, far := n.carrier(fate{}, fate{})
			app, _, _ := joined(t, n, c)
			far.Put(wire.Frame{Kind: wire.Reset, Tunnel: 1, Code: byte(why)})
			if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("reason %d: got %v, want %v", why, err, syscall.ECONNRESET)
			}
		})
	}
}

// An origin's refusal comes to the app as a reset, and a tunnel that was refused does not
// begin when its Open comes again.
func TestARefusalIsAReset(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		asked := 0
		n.refuse = func() (wire.Reason, bool) { asked++; return wire.NotAllowed, true }
		c, _ := n.carrier(fate{twice: n.door == session.Gateway}, fate{}) // a stream that repeats itself is cut
		app, _ := n.dial(c, []byte("early"))
		if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
		}
		c.Put(wire.Frame{Kind: wire.Open, Tunnel: 1, Body: wire.AppendService(nil, wire.Service{Kind: wire.Chat})})
		time.Sleep(time.Second)
		if e := n.ends(); asked != 1 || len(e) != 1 || e[0].Reason != wire.NotAllowed || !e[0].FromPeer {
			t.Errorf("asked %d times, got %v, want one end as refused", asked, e)
		}
	})
}

// A session that was given up begins no tunnel: nothing would end it.
func TestASessionThatWasGivenUpBeginsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		n.session.GiveUp(wire.Expired)
		if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
		}
		if _, err := service.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("the service got %v, want a reset", err)
		}
		_, late := n.dial(c, nil)
		time.Sleep(time.Second)
		if got := n.near.Orphans(); late.Session() != nil || len(got) != 1 {
			t.Errorf("got %d tunnels that wait, want the late one", len(got))
		}
	})
}
