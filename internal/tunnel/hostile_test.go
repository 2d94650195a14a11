package tunnel

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/wire"
)

func frameOf(h wire.Header, payload ...byte) []byte {
	h.Len = len(payload)
	b := make([]byte, wire.HeaderLen, wire.HeaderLen+len(payload))
	wire.Put(b, h)
	return append(b, payload...)
}

// What ends the carrier that brings it, at either end; its tunnel lives on.
func TestWhatEndsACarrier(t *testing.T) {
	t.Parallel()
	tag := make([]byte, wire.Overhead)
	data := make([]byte, wire.Overhead+1)
	everywhere := map[string][]byte{
		"garbage":                 []byte("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"),
		"a header cut short":      make([]byte, wire.HeaderLen-1),
		"a payload cut short":     frameOf(wire.Header{Kind: wire.Data, Tunnel: 1}, data...)[:40],
		"a forged Data":           frameOf(wire.Header{Kind: wire.Data, Tunnel: 1}, data...),
		"a forged Fin":            frameOf(wire.Header{Kind: wire.Fin, Tunnel: 1}, tag...),
		"a forged Attach":         frameOf(wire.Header{Kind: wire.Attach, Tunnel: 1, Seq: 1 << 40}, tag...),
		"an ack of the future":    frameOf(wire.Header{Kind: wire.Ack, Tunnel: 1, Ack: 1 << 40}),
		"a window too large":      frameOf(wire.Header{Kind: wire.Ack, Tunnel: 1, Window: 1 << 31}),
		"bytes beyond the window": frameOf(wire.Header{Kind: wire.Data, Tunnel: 1, Seq: wire.FirstWindow}, data...),
		"a Fin beyond the window": frameOf(wire.Header{Kind: wire.Fin, Tunnel: 1, Seq: wire.FirstWindow + 1}, tag...),
	}
	try := func(t *testing.T, message []byte, toFar bool) {
		bubble(t, func(t *testing.T, n *Net) {
			n.keep = func() (fate, fate) { return fate{}, fate{} }
			c, far := n.carrier(fate{}, fate{})
			app, service, _ := joined(t, n, 1, c)
			from, to := far, c
			if toFar {
				from, to = c, far
			}
			n.socket(from).WriteMessage(message)
			synctest.Wait()
			if !to.Dead() {
				t.Error("got a living carrier, want it dead")
			}
			talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
		})
	}
	for name, message := range everywhere {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			try(t, message, false)
			try(t, message, true)
		})
	}
	t.Run("an Accept at the origin", func(t *testing.T) {
		t.Parallel()
		try(t, frameOf(wire.Header{Kind: wire.Accept, Tunnel: 1}, make([]byte, 48)...), true)
	})
	t.Run("an Open at the client", func(t *testing.T) {
		t.Parallel()
		try(t, frameOf(wire.Header{Kind: wire.Open, Tunnel: 2}, '1'), false)
	})
}

func TestAForgedAcceptEndsTheTunnelAlone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{silent: true}, fate{})
		app, _ := n.dial(c, 1, nil)
		n.socket(far).WriteMessage(frameOf(wire.Header{Kind: wire.Accept, Tunnel: 1}, make([]byte, 48)...))
		if _, err := app.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("got %v, want a reset", err)
		}
		if synctest.Wait(); c.Dead() {
			t.Error("got a dead carrier, want others to go on")
		}
	})
}

func TestFramesOfUnknownTunnelsCostNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		resets := 0
		n.socket(far).log = func(m []byte) {
			frames(m, func(h wire.Header) {
				if h.Kind == wire.Reset && wire.Reason(h.Seq) == wire.Unknown {
					resets++
				}
			})
		}
		const many = 20_000
		for id := range wire.TunnelID(many) {
			kind := []wire.Kind{wire.Data, wire.Attach, wire.Ack, wire.Reset}[id%4]
			h := wire.Header{Kind: kind, Tunnel: id + 1, Seq: 1}
			switch kind {
			case wire.Data:
				n.socket(c).WriteMessage(frameOf(h, make([]byte, wire.Overhead+1)...))
			case wire.Attach:
				n.socket(c).WriteMessage(frameOf(h, make([]byte, wire.Overhead)...))
			default:
				n.socket(c).WriteMessage(frameOf(h))
			}
		}
		synctest.Wait()
		if resets != many/2 || n.far.Tunnels() != 0 || far.Dead() {
			t.Errorf("got %d resets, %d tunnels, want one for each Data and Attach, and none", resets, n.far.Tunnels())
		}
	})
}

func TestAnotherUsersTunnelIsUnknown(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, c)
		a, b := socketPair(9, fate{}, fate{})
		theirs := n.far.NewCarrier(b, 8)
		n.serving.Go(func() { theirs.Serve() })
		tun.mu.Lock()
		attach := tun.attachFrame(true)
		tun.mu.Unlock()
		a.WriteMessage(attach.Buf)
		a.WriteMessage(frameOf(wire.Header{Kind: wire.Reset, Tunnel: 1, Seq: 1}))
		r, err := a.NextMessage()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(r); !bytes.Equal(got, frameOf(wire.Header{Kind: wire.Reset, Tunnel: 1, Seq: uint64(wire.Unknown)})) {
			t.Errorf("got %x, want a Reset", got)
		}
		if synctest.Wait(); far.Load() != 1 || theirs.Load() != 0 {
			t.Error("the tunnel has moved to another user's carrier")
		}
		talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
	})
}

func TestAnAttachThatComesAgainMovesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.carrier(fate{}, fate{})
		two, farTwo := n.carrier(fate{}, fate{})
		three, farThree := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, 1, one)
		var attach []byte
		n.socket(two).log = func(m []byte) {
			frames(m, func(h wire.Header) {
				if h.Kind == wire.Attach {
					attach = bytes.Clone(m)
				}
			})
		}
		tun.Attach(two, false)
		synctest.Wait()
		n.socket(three).WriteMessage(attach)
		synctest.Wait()
		if got := n.far.find(1).Carrier(); got != farTwo || farThree.Dead() {
			t.Error("a replayed Attach has moved the tunnel or ended its carrier")
		}
	})
}

func TestAnOpenThatComesTwiceMakesOneTunnel(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.dialAfter = time.Second
		c, _ := n.carrier(fate{twice: true}, fate{twice: true})
		app, _ := n.dial(c, 1, []byte("early"))
		talk(t, app, func() *memStream { return <-n.service(1) }, nil, []byte("early"), []byte("down"), 9)
	})
}

func TestFramesInAnyOrderAndTwiceGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		wild := fate{delay: time.Millisecond, shuffle: true, twice: true}
		c, _ := n.carrier(wild, wild)
		up, down := bytesOf(1<<20, 1), bytesOf(1<<20, 2)
		app, _ := n.dial(c, 1, up[:100])
		talk(t, app, func() *memStream { return <-n.service(1) }, up[100:], up, down, 3<<10)
		time.Sleep(time.Second)
		n.wantTunnels(t, 0, 0)
	})
}

// Whatever a carrier brings, nothing panics or hangs, and the bytes stay what
// they are once the carrier is replaced.
func FuzzCarrier(f *testing.F) {
	f.Add(frameOf(wire.Header{Kind: wire.Data, Tunnel: 1}, make([]byte, 20)...), true)
	f.Add(frameOf(wire.Header{Kind: wire.Open, Tunnel: 2}, '1', '2'), true)
	f.Add(append(frameOf(wire.Header{Kind: wire.Ping}), frameOf(wire.Header{Kind: wire.Drain})...), false)
	f.Add(frameOf(wire.Header{Kind: wire.Ack, Tunnel: 1, Window: wire.MaxWindow}), false)
	f.Fuzz(func(t *testing.T, message []byte, toFar bool) {
		if bytes.Contains(message, frameOf(wire.Header{Kind: wire.Reset, Tunnel: 1})[:12]) {
			return // a Reset of the tunnel is heard
		}
		bubble(t, func(t *testing.T, n *Net) {
			c, far := n.carrier(fate{}, fate{})
			app, service, tun := joined(t, n, 1, c)
			if toFar {
				n.socket(c).WriteMessage(message)
			} else {
				n.socket(far).WriteMessage(message)
			}
			synctest.Wait()
			next, _ := n.carrier(fate{}, fate{})
			c.Close()
			synctest.Wait()
			tun.Attach(next, true)
			talk(t, app, func() *memStream { return service }, []byte("up"), []byte("up"), []byte("down"), 9)
		})
	})
}
