package client

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// liveSocket leads to a peer that answers pings and nothing else.
type liveSocket struct {
	transport.Transport // for the methods that these tests do not reach
	gateway             bool
	answers             chan []byte
	closed              chan struct{}
	ended               atomic.Bool
}

func newLiveSocket(gateway bool) *liveSocket {
	return &liveSocket{gateway: gateway, answers: make(chan []byte, 16), closed: make(chan struct{})}
}

func (s *liveSocket) Start(transport.Owner)           {}
func (s *liveSocket) Park(func()) bool                { return false }
func (s *liveSocket) Probe() error                    { return nil }
func (s *liveSocket) Overdue(time.Time) time.Duration { return 0 }

func (s *liveSocket) Profile() *transport.Profile {
	if s.gateway {
		return transport.GatewayProfile()
	}
	return transport.StreamProfile()
}

func (s *liveSocket) NextMessage() (io.Reader, error) {
	select {
	case b := <-s.answers:
		return bytes.NewReader(b), nil
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func (s *liveSocket) WriteMessage(b []byte) error {
	for len(b) > 0 {
		h, err := wire.Parse(b[:wire.HeaderLen])
		if err != nil {
			return err
		}
		if h.Kind == wire.Ping {
			pong := make([]byte, wire.HeaderLen)
			wire.Put(pong, wire.Header{Kind: wire.Pong, Seq: h.Seq})
			s.answers <- pong
		}
		b = b[wire.HeaderLen+h.Len:]
	}
	return nil
}

func (s *liveSocket) Close() error {
	if !s.ended.Swap(true) {
		close(s.closed)
	}
	return nil
}

// network is what a client of these tests reaches: fronts of the gateway door
// answer, those of the stream door do until they are blocked.
type network struct {
	fronts  []link.Front
	blocked atomic.Bool
	waiting atomic.Int32 // dials that are under way
}

var bothDoors = []link.Front{{Host: "gateway.example", Gateway: true}, {Host: "stream.example"}}

func (n *network) reach(ctx context.Context, _ *originRef, may func(link.Front) bool) (transport.Transport, int, error) {
	if len(n.fronts) == 0 {
		return nil, -1, dial.ErrNothing
	}
	for i, f := range n.fronts {
		if may(f) && (f.Gateway || !n.blocked.Load()) {
			return newLiveSocket(f.Gateway), i, nil
		}
	}
	n.waiting.Add(1)
	defer n.waiting.Add(-1)
	<-ctx.Done()
	return nil, -1, ctx.Err()
}

// TestRunLeavesNoGoroutine ends clients in the middle of what they do. The bubble
// ends only if no goroutine is left.
func TestRunLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fronts  []link.Front
		act     func(*testing.T, *Client, *network)
		waiting int32 // dials when the client ends
	}{
		"a dial":                    {fronts: bothDoors[1:], act: func(*testing.T, *Client, *network) {}, waiting: 1},
		"a pause between two dials": {act: func(*testing.T, *Client, *network) { time.Sleep(time.Minute) }},
		"tunnels at work": {fronts: bothDoors, act: func(_ *testing.T, c *Client, _ *network) {
			time.Sleep(time.Second)
			for range 10 {
				c.Dial(wire.Service{Kind: wire.Chat})
			}
			time.Sleep(time.Second)
		}},
		"a renewal": {fronts: bothDoors, act: func(*testing.T, *Client, *network) {
			time.Sleep(backToStream + time.Second)
		}, waiting: 1},
		"a move to the successor": {fronts: bothDoors, act: func(t *testing.T, c *Client, n *network) {
			c.Dial(wire.Service{Kind: wire.Chat})
			n.blocked.Store(false)
			time.Sleep(backToStream + time.Second)
			if now := c.pool.view(); now.state != connected || now.main.gateway {
				t.Errorf("got state %v at the gateway door, want the stream door's carrier", now.state)
			}
		}},
		"a promotion of bulk": {fronts: bothDoors, act: func(t *testing.T, c *Client, n *network) {
			time.Sleep(time.Second)
			c.reach = func(ctx context.Context, o *originRef, _ func(link.Front) bool) (transport.Transport, int, error) {
				return n.reach(ctx, o, streamFront)
			}
			promoteOne(t, c)
		}, waiting: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{fronts: c.fronts}
			n.blocked.Store(true)
			client, err := New(Config{Link: &link.Link{Keys: seal.NewMaster().Client(1), Fronts: bothDoors}})
			if err != nil {
				t.Fatal(err)
			}
			client.reach = n.reach
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- client.Run(ctx) }()
			synctest.Wait()
			c.act(t, client, n)
			synctest.Wait()
			if got := n.waiting.Load(); got != c.waiting {
				t.Errorf("%s: got %d dials under way, want %d", name, got, c.waiting)
			}
			ended := time.Now()
			cancel()
			if err := <-done; err != nil || time.Since(ended) > lastWords {
				t.Errorf("%s: Run returned %v after %v, want nil within %v", name, err, time.Since(ended), lastWords)
			}
			if got := client.Status(); got.Carriers != 0 || got.Tunnels != 0 {
				t.Errorf("%s: got %d carriers and %d tunnels left, want none", name, got.Carriers, got.Tunnels)
			}
		})
	}
}

// promoteOne has c find a place for a tunnel that proved to be bulk.
func promoteOne(t *testing.T, c *Client) {
	t.Helper()
	_, stream := net.Pipe()
	service := wire.Service{Kind: wire.Chat}
	start, err := c.start(c.seal.Open, newID(), service, nil)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, ok := c.table.StartTunnel(start, stream)
	if !ok {
		t.Fatal("the table takes no tunnel")
	}
	c.place(tunnel)
	c.promote(tunnel)
}
