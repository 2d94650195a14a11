package tunnel

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAcksOfManyTunnelsShareAMessage(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, far := n.carrier(fate{}, fate{})
		var apps []*memStream
		for id := range wire.TunnelID(100) {
			app, service, _ := joined(t, n, id+1, c)
			apps = append(apps, app)
			go io.Copy(io.Discard, service)
		}
		time.Sleep(time.Second)
		before := n.socket(far).messages()
		for _, app := range apps {
			app.Write([]byte("hello"))
		}
		time.Sleep(time.Second)
		if got := n.socket(far).messages() - before; got > 3 {
			t.Errorf("got %d messages of acks, want one or so", got)
		}
	})
}

func TestAnIdleTunnelKeepsNoFrames(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		go io.Copy(io.Discard, b)
		a.Write(bytesOf(10<<10, 1))
		time.Sleep(transport.StreamProfile().AckDelay + 3*time.Millisecond) // there and back, and a quantum
		for _, tun := range append(n.near.allTunnels(), n.far.allTunnels()...) {
			tun.mu.Lock()
			if len(tun.unacked)+len(tun.queue)+len(tun.ahead) > 0 {
				t.Errorf("got %d frames to be acked, %d to be written, %d held, want none", len(tun.unacked), len(tun.queue), len(tun.ahead))
			}
			tun.mu.Unlock()
		}
		a.Close()
	})
}

func TestAQuarterOfTheWindowIsAckedAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, c)
		go io.Copy(io.Discard, service)
		app.Write(bytesOf(wire.FirstWindow/4, 1))
		synctest.Wait()
		tun.mu.Lock()
		defer tun.mu.Unlock()
		if tun.acked != wire.FirstWindow/4 {
			t.Errorf("got %d bytes acked, want %d", tun.acked, wire.FirstWindow/4)
		}
	})
}

func TestControlFramesAreCutBetweenFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := socketPair(1, fate{room: 1}, fate{})
		tb := NewTable(Events{}, nil)
		c := tb.NewCarrier(a, 0)
		accept := make([]byte, wire.HeaderLen+48)
		wire.Put(accept, wire.Header{Kind: wire.Accept, Len: 48, Tunnel: 1})
		tun := newTunnel(tb, 1, 0, wire.Service{})
		small := make([]byte, wire.HeaderLen+100)
		wire.Put(small, wire.Header{Kind: wire.Data, Len: 100, Tunnel: 1})
		c.PutFrame(accept) // goes out, and what follows waits
		synctest.Wait()
		var all sync.WaitGroup
		c.PutControl(wire.Header{Kind: wire.Pong})
		for range 2000 {
			c.PutFrame(accept)
		}
		all.Go(func() { c.Send((*sender)(tun), &carrier.Frame{Buf: small, Writing: 1}) })
		got := 0
		for got < 2003 {
			r, err := b.NextMessage()
			if err != nil {
				t.Fatal(err)
			}
			m, _ := io.ReadAll(r)
			if len(m) > wire.MaxMessage {
				t.Errorf("got a message of %d bytes, want at most %d", len(m), wire.MaxMessage)
			}
			frames(bytes.Clone(m), func(wire.Header) { got++ })
		}
		all.Wait()
		c.Close()
	})
}
