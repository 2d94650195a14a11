package tunnel

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// Two carriers that bring the same Open at once begin one tunnel, and neither hears that
// it is over.
func TestAnOpenThatTwoCarriersBringAtOnceBeginsOneTunnel(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	defer n.stop()
	first, _ := n.carrier(fate{}, fate{})
	for !first.Live() { // of two that begin a session at a time the origin refuses one
		if time.Sleep(time.Millisecond); first.Dead() {
			t.Fatal("the first carrier has died")
		}
	}
	second, atOrigin := n.carrier(fate{}, fate{})
	both := make(chan error, 1)
	n.far.Open = func(c *carrier.Carrier, s *Session, id uint32, svc wire.Service, early []byte) {
		returned := make(chan struct{})
		go func() {
			defer close(returned)
			_, err := s.Deliver(atOrigin, wire.Frame{Kind: wire.Open, Tunnel: id, Body: wire.AppendService(nil, svc)}, false, nil)
			both <- err
		}()
		select {
		case <-returned: // it had an answer before there was a tunnel
		case <-time.After(50 * time.Millisecond):
		}
		n.open(c, s, id, svc, early)
	}
	app, tunnel := n.dial(first, nil)
	far := <-n.service(1)
	if err := <-both; err != nil {
		t.Fatal(err)
	}
	tunnel.Attach(second, false)
	for _, way := range [][2]*memStream{{app, far}, {far, app}} {
		come := make(chan string, 1)
		go io.WriteString(way[0], "hello")
		go func() {
			got := make([]byte, 5)
			io.ReadFull(way[1], got)
			come <- string(got)
		}()
		select {
		case got := <-come:
			if got != "hello" {
				t.Errorf("got %q, want what was sent", got)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing comes, and these have ended: %v", n.ends())
		}
	}
	if ends := n.ends(); len(ends) > 0 || n.begun[1] != 1 {
		t.Errorf("got %d tunnels begun and the ends %v, want one tunnel that goes on", n.begun[1], ends)
	}
}

// A first flight begins a few tunnels, which an origin dials though it may be a copy. The
// others wait for the answer, and none is refused.
func TestAFirstFlightBeginsAFewTunnels(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	defer n.stop()
	const many = 5 * wire.MaxEarlyOpens
	var early atomic.Int64
	begin := n.far.Open
	n.far.Open = func(c *carrier.Carrier, s *Session, id uint32, svc wire.Service, bytes []byte) {
		if !c.Live() {
			early.Add(1)
		}
		begin(c, s, id, svc, bytes)
	}
	var waiting []*Tunnel
	for range many {
		_, tunnel := n.dial(nil, nil)
		waiting = append(waiting, tunnel)
	}
	c, _ := n.carrier(fate{}, fate{})
	for _, tunnel := range waiting {
		tunnel.Attach(c, false)
	}
	for id := range uint32(many) {
		select {
		case <-n.service(id + 1):
		case <-time.After(10 * time.Second):
			t.Fatalf("tunnel %d does not begin, and these have ended: %v", id+1, n.ends())
		}
	}
	if got := early.Load(); got > wire.MaxEarlyOpens {
		t.Errorf("got %d tunnels begun early, want %d at most", got, wire.MaxEarlyOpens)
	}
}
