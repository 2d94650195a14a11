package e2e

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/test/emulator"
)

// slow is a network whose way to one address takes few bytes a second.
type slow struct {
	network
	to    string
	rate  int
	dials atomic.Int64
}

func (s *slow) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := s.network.dial(ctx, network, address)
	if err != nil || address != s.to {
		return c, err
	}
	s.dials.Add(1)
	return &slowConn{c, s.rate}, nil
}

type slowConn struct {
	net.Conn
	rate int
}

const packet = 1400

func (c *slowConn) pace(n int) { time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate)) }

func (c *slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), packet)])
	c.pace(n)
	return n, err
}

func (c *slowConn) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		k := min(len(b)-n, packet)
		c.pace(k)
		k, err = c.Conn.Write(b[n : n+k])
		n += k
	}
	return n, err
}

// A TLS record takes eight seconds.
func TestASlowLinkCostsFewCarriersAtTheStreamDoor(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // for the last packet
		o := w.origin()
		link := &slow{network: w.net, to: o.addr, rate: 2 << 10}
		w.net = link
		stream := w.client(1, o.addr).ready().app()
		stream.SetDeadline(time.Now().Add(time.Hour))
		began := time.Now()
		if err := (order{Do: exchange, Seed: 1, Down: 1 << 20}).run(stream); err != nil {
			t.Error(err)
		}
		took := time.Since(began)
		t.Logf("took %v, %d carriers", took.Round(time.Second), link.dials.Load())
		if got := link.dials.Load(); got > 3 || took > 10*time.Minute {
			t.Errorf("got %d carriers and %v, want one of chat and two of bulk, and 10 minutes at most", got, took)
		}
	})
}

// A phone at the edge of a cell, or a network that throttles us: a full message
// takes half a minute then, and what asks for life waits behind it.
func TestASlowLinkCostsNoCarrierAtTheGatewayDoor(t *testing.T) {
	for name, o := range map[string]order{
		"down": {Do: exchange, Seed: 1, Down: 1 << 20},
		"up":   {Do: exchange, Seed: 1, Up: 1 << 20},
		"both": {Do: exchange, Seed: 1, Up: 1 << 20, Down: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				t.Cleanup(func() { time.Sleep(time.Second) }) // for the last packet
				a := w.api(apiOptions{gateway: emulator.Options{ClientBuffer: 256 << 10, WriteTimeout: 5 * time.Minute}})
				link := &slow{network: w.net, to: a.clients.addr, rate: 4 << 10}
				w.net = link
				n := w.clientBy(1, a.front(w)).ready()
				stream := n.app()
				stream.SetDeadline(time.Now().Add(time.Hour))
				began := time.Now()
				use := a.used(func() {
					if err := o.run(stream); err != nil {
						t.Error(err)
					}
				})
				t.Logf("took %v, %d carriers, %d units", time.Since(began).Round(time.Second), link.dials.Load(), use.Messages)
				if got := link.dials.Load(); got > 3 {
					t.Errorf("got %d carriers, want one of chat and two of bulk at most", got)
				}
			})
		})
	}
}
