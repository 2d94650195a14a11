package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/wire"
)

// network is what a client of these tests reaches: fronts of the gateway door
// answer, those of the stream door do until they are blocked.
type network struct {
	*peer
	fronts  []link.Front
	blocked atomic.Bool
	waiting atomic.Int32 // dials that are under way
}

var bothDoors = []link.Front{{Host: "gateway.example", Gateway: true}, {Host: "stream.example"}}

func (n *network) reach(ctx context.Context, w wanted) (*socket, int, error) {
	if len(n.fronts) == 0 {
		return nil, -1, dial.ErrNothing
	}
	for i, f := range n.fronts {
		if w.may(f) && (f.Gateway || !n.blocked.Load()) {
			return n.socket(f.Gateway), i, nil
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
		"a renewal": {fronts: bothDoors, act: func(_ *testing.T, _ *Client, n *network) {
			for began := time.Now(); n.waiting.Load() == 0 && time.Since(began) < 2*backToStream; {
				time.Sleep(time.Second)
			}
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
			c.reach = func(ctx context.Context, w wanted) (*socket, int, error) {
				w.may = streamFront
				return n.reach(ctx, w)
			}
			promoteOne(t, c)
		}, waiting: 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &network{peer: newPeer(t, 0), fronts: c.fronts}
			n.blocked.Store(true)
			client, err := New(Config{Link: linkTo(bothDoors...)})
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
	tunnel, ok := c.table.StartTunnel(wire.Service{Kind: wire.Chat}, nil, stream)
	if !ok {
		t.Fatal("the table takes no tunnel")
	}
	c.place(tunnel)
	c.promote(tunnel)
}
