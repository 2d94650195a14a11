package tunnel

import (
	"io"
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
