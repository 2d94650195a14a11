package tunnel

import (
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAllWhoWaitForACarrierHearThatItIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := socketPair(1, fate{stuck: true}, fate{})
		tb := NewTable(Events{}, nil)
		c := tb.NewCarrier(a, 0)
		tun := newTunnel(tb, 1, 0, wire.Service{})
		var all sync.WaitGroup
		for i := range 50 {
			f := &frame{kind: wire.Data, Frame: carrier.Frame{Buf: make([]byte, []int{100, 10 << 10}[i%2]), Writing: 1}}
			all.Go(func() {
				if err := c.Send((*sender)(tun), &f.Frame); err == nil {
					t.Error("got no error, want one")
				}
			})
		}
		synctest.Wait()
		c.Close()
		all.Wait()
		if err := c.Send((*sender)(tun), &carrier.Frame{Buf: make([]byte, 9)}); !errors.Is(err, carrier.ErrDead) {
			t.Errorf("got %v, want %v", err, carrier.ErrDead)
		}
	})
}

func TestASilentCarrierIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		active bool
		limit  time.Duration
	}{"active": {true, 8500 * time.Millisecond}, "idle": {false, 25*time.Second + transport.StreamProfile().PongWait + 2*carrier.CheckEvery}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				near, far := n.carrier(fate{}, fate{})
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
		app, service, _ := joined(t, n, 1, c)
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

// slowReader is a socket that takes its time to read what it writes.
type slowReader struct {
	*memSocket
	read func(b []byte)
}

func (s slowReader) WriteMessage(b []byte) error { s.read(b); return nil }

func TestAFrameIsNotStampedWhileItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := NewTable(Events{}, nil)
		tun := newTunnel(tb, 1, 0, wire.Service{})
		f := &frame{kind: wire.Data, Frame: carrier.Frame{Buf: make([]byte, 9000)}}
		wire.Put(f.Buf, wire.Header{Kind: wire.Data, Len: 9000 - wire.HeaderLen, Tunnel: 1})
		var all sync.WaitGroup
		for range 3 {
			var sum byte
			c := tb.NewCarrier(slowReader{memSocket: new(memSocket), read: func(b []byte) {
				for i := range 100 {
					sum += b[20+i%12]
					time.Sleep(time.Millisecond)
				}
			}}, 0)
			tun.mu.Lock()
			f.Writing++
			tun.written++
			tun.mu.Unlock()
			all.Go(func() { c.Send((*sender)(tun), &f.Frame) })
			time.Sleep(10 * time.Millisecond)
		}
		all.Wait()
	})
}
