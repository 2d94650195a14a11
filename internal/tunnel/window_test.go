package tunnel

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// frames calls f with each frame of a message.
func frames(b []byte, f func(wire.Header)) {
	for len(b) > 0 {
		h, err := wire.Parse(b)
		if err != nil {
			panic(err)
		}
		f(h)
		b = b[wire.HeaderLen+h.Len:]
	}
}

func TestAStalledStreamStopsItsSenderAndNobodyElse(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		go a.Write(bytesOf(4<<20, 1))
		time.Sleep(time.Minute)
		for _, tb := range []*Table{n.near, n.far} {
			for _, tun := range tb.allTunnels() {
				tun.mu.Lock()
				if tun.sent > wire.FirstWindow+64<<10 { // and what fits into the stalled stream
					t.Errorf("sent %d bytes, want at most %d", tun.sent, wire.FirstWindow+64<<10)
				}
				if tun.win.size != wire.FirstWindow {
					t.Errorf("got a window of %d, want %d", tun.win.size, wire.FirstWindow)
				}
				tun.mu.Unlock()
			}
		}
		app, service, _ := joined(t, n, 2, n.near.Carriers.All()[0])
		go app.Write([]byte("hello"))
		began := time.Now()
		io.ReadFull(service, make([]byte, 5))
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("another tunnel's bytes took %v, want no more than the way", took)
		}
		a.Close()
	})
}

func TestAFastLongPathGrowsTheWindowWithinTheBudget(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ budget, want, bytes int64 }{
		"plenty": {1 << 30, wire.MaxWindow, 48 << 20},
		"some":   {3 << 20, 2 << 20, 12 << 20},
		"none":   {0, wire.FirstWindow, 4 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				n.near.Windows, n.room = NewWindowBudget(c.budget), 1<<20
				near, far := n.carrier(fate{delay: 75 * time.Millisecond}, fate{delay: 75 * time.Millisecond})
				near.Ping()
				far.Ping()
				app, service, tun := joined(t, n, 1, near)
				go func() { service.Write(make([]byte, c.bytes)); service.CloseWrite() }()
				if got, _ := io.Copy(io.Discard, app); got != c.bytes {
					t.Errorf("got %d bytes, want %d", got, c.bytes)
				}
				tun.mu.Lock()
				if got := tun.win.size; got != uint64(c.want) {
					t.Errorf("got a window of %d, want %d", got, c.want)
				}
				tun.mu.Unlock()
				if left := n.near.Windows.left.Load(); left != c.budget-(c.want-wire.FirstWindow) {
					t.Errorf("got a budget of %d while it is in use", left)
				}
				app.CloseWrite()
				time.Sleep(time.Second)
				if left := n.near.Windows.left.Load(); left != c.budget {
					t.Errorf("got back a budget of %d, want %d", left, c.budget)
				}
			})
		})
	}
}

func TestNoSenderPassesTheLimitThatItWasTold(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		var mu sync.Mutex
		watch := func(c *carrier.Carrier, limit, peerLimit *uint64) {
			n.socket(c).log = func(m []byte) {
				mu.Lock()
				defer mu.Unlock()
				frames(m, func(h wire.Header) {
					*peerLimit = max(*peerLimit, h.Ack+uint64(h.Window))
					if end := h.Seq + uint64(h.Len-wire.Overhead); h.Kind == wire.Data && end > *limit {
						t.Errorf("sent up to %d, want at most %d", end, *limit)
					}
				})
			}
		}
		up, down := uint64(wire.FirstWindow), uint64(wire.FirstWindow)
		watch(n.near.Carriers.All()[0], &up, &down)
		watch(n.far.Carriers.All()[0], &down, &up)
		talk(t, a, func() *memStream { return b }, bytesOf(3<<20, 1), bytesOf(3<<20, 1), bytesOf(3<<20, 2), 100<<10)
		synctest.Wait()
	})
}
