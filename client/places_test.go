package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
)

// seenNet counts connections as a network does, from the first packet to the last: one that is being opened, or is given up, is
// there until it is over.
type seenNet struct {
	now, most, dials atomic.Int32
}

// open answers nothing, so that each connection is in TLS's handshake until it is given up.
func (n *seenNet) open(ctx context.Context, _, _ string) (net.Conn, error) {
	n.dials.Add(1)
	for now := n.now.Add(1); now > n.most.Load(); {
		n.most.Store(now)
	}
	select {
	case <-time.After(75 * time.Millisecond):
	case <-ctx.Done():
		n.now.Add(-1)
		return nil, ctx.Err()
	}
	near, _ := net.Pipe()
	return &seenConn{near, n}, nil
}

type seenConn struct {
	net.Conn
	by *seenNet
}

func (c *seenConn) Close() error {
	c.by.now.Add(-1)
	return c.Conn.Close()
}

// A network never sees more connections than it may, though chat dials when bulk has taken all places, of which none is
// open yet: a dial of bulk's is given up for each, and its socket closed before.
func TestANetworkSeesNoConnectionTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen seenNet
		c, err := New(Config{Link: linkTo(link.Front{Host: "front.example"}), Dialer: &front.Dialer{Connect: seen.open}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		h, open := c.pool.current(), c.cfg.Dialer.Connect
		var all atomic.Int32 // that were given a place
		connect := func(ctx context.Context, ended func()) {
			all.Add(1)
			go func() {
				defer all.Add(-1)
				defer ended()
				if conn, err := open(ctx, "tcp", "192.0.2.1:443"); err == nil {
					<-ctx.Done()
					conn.Close()
				}
			}()
		}
		for range mostSeen + 2 { // more than there is room for
			p := c.spread.begin(c, time.Now())
			if p == nil {
				t.Fatal("bulk begins no dial")
			}
			connect(context.WithValue(p.ctx, ofBulk{}, true), func() { c.spread.ended(p) })
			synctest.Wait()
		}
		if n := seen.dials.Load(); n != mostSeen {
			t.Errorf("bulk opened %d connections, want %d", n, mostSeen)
		}
		for range 3 { // at once
			connect(ctx, func() {})
		}
		synctest.Wait()
		if n := seen.dials.Load(); n != mostSeen+3 {
			t.Errorf("got %d connections opened, want chat's three beside bulk's", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n := seen.most.Load(); n != mostSeen || c.seen(h) < mostSeen {
			t.Errorf("a network saw %d connections at once, and the client %d, want %d", n, c.seen(h), mostSeen)
		}
		cancel()
		c.stop()
		synctest.Wait()
		if taken, _ := c.places.count(); taken != 0 || seen.now.Load() != 0 || all.Load() != 0 {
			t.Errorf("%d places are taken and %d connections open once all were closed", taken, seen.now.Load())
		}
	})
}
