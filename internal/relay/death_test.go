package relay

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAllWhoWaitForACarrierHearThatItIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := socketPair(1, fate{stuck: true}, fate{})
		tb := NewTable(Events{}, nil)
		c := NewCarrier(a, tb, 0)
		tun := newTunnel(tb, 1, 0, wire.Service{})
		var all sync.WaitGroup
		for i := range 50 {
			f := &frame{kind: wire.Data, buf: make([]byte, []int{100, 10 << 10}[i%2]), writing: 1}
			all.Go(func() {
				if err := c.send(tun, f); err == nil {
					t.Error("got no error, want one")
				}
			})
		}
		synctest.Wait()
		c.Close()
		all.Wait()
		if err := c.send(tun, &frame{buf: make([]byte, 9)}); !errors.Is(err, ErrDead) {
			t.Errorf("got %v, want %v", err, ErrDead)
		}
	})
}

func TestASilentCarrierIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		active bool
		limit  time.Duration
	}{"active": {true, 8500 * time.Millisecond}, "idle": {false, pingIdle + transport.StreamProfile().PongWait + 2*CheckEvery}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				near, far := n.carrier(fate{}, fate{})
				if c.active {
					n.near.active.Store(time.Now().UnixNano())
				}
				far.sock.(*memSocket).change(func(f *fate) { f.silent = true })
				near.sock.(*memSocket).change(func(f *fate) { f.silent = true })
				began := time.Now()
				for !near.Dead() && time.Since(began) < time.Minute {
					time.Sleep(CheckEvery)
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

// trickle gives a message a byte a tick.
type trickle struct {
	r io.Reader
}

func (s trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.r.Read(p[:min(len(p), 4<<10)])
}

func TestALargeFrameOnASlowLinkIsNoSilence(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		near, _ := n.carrier(fate{}, fate{silent: true})
		n.near.active.Store(time.Now().UnixNano())
		go near.fill(trickle{bytes.NewReader(make([]byte, 64<<10))}, make([]byte, 64<<10))
		for range 16 {
			time.Sleep(CheckEvery)
			near.Check(time.Now())
		}
		if near.Dead() {
			t.Error("got a dead carrier, want one that is busy")
		}
	})
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
		f := &frame{kind: wire.Data, buf: make([]byte, 9000)}
		wire.Put(f.buf, wire.Header{Kind: wire.Data, Len: 9000 - wire.HeaderLen, Tunnel: 1})
		var all sync.WaitGroup
		for range 3 {
			var sum byte
			c := NewCarrier(slowReader{memSocket: new(memSocket), read: func(b []byte) {
				for i := range 100 {
					sum += b[20+i%12]
					time.Sleep(time.Millisecond)
				}
			}}, tb, 0)
			tun.mu.Lock()
			f.writing++
			tun.written++
			tun.mu.Unlock()
			all.Go(func() { c.send(tun, f) })
			time.Sleep(10 * time.Millisecond)
		}
		all.Wait()
	})
}
