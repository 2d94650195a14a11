package tunnel

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAStalledStreamStopsItsSenderAndNobodyElse(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		n.tendAlways()
		go a.Write(bytesOf(4<<20, 1))
		time.Sleep(time.Minute)
		for _, tb := range []*Table{n.near, n.far} {
			for _, tun := range tb.allTunnels() {
				tun.mu.Lock()
				if tun.send.sent > wire.FirstWindow+64<<10 { // and what fits into the stalled stream
					t.Errorf("sent %d bytes, want at most %d", tun.send.sent, wire.FirstWindow+64<<10)
				}
				if tun.recv.win.size != wire.FirstWindow {
					t.Errorf("got a window of %d, want %d", tun.recv.win.size, wire.FirstWindow)
				}
				tun.mu.Unlock()
			}
		}
		app, service, _ := joined(t, n, n.near.Carriers.All()[0])
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
				n.room = 1 << 20
				n.near.allow(c.budget)
				near, far := n.carrier(fate{delay: 75 * time.Millisecond}, fate{delay: 75 * time.Millisecond})
				far.Ping()
				app, service, tun := joined(t, n, near)
				go func() { service.Write(make([]byte, c.bytes)); service.CloseWrite() }()
				if got, _ := io.Copy(io.Discard, app); got != c.bytes {
					t.Errorf("got %d bytes, want %d", got, c.bytes)
				}
				tun.mu.Lock()
				if got := tun.recv.win.size; got != uint64(c.want) {
					t.Errorf("got a window of %d, want %d", got, c.want)
				}
				tun.mu.Unlock()
				if taken := n.near.Shares.Windows.Taken(); taken != c.want-wire.FirstWindow {
					t.Errorf("got %d of the budget taken while it is in use", taken)
				}
				app.CloseWrite()
				time.Sleep(time.Second)
				if taken := n.near.Shares.Windows.Taken(); taken != 0 {
					t.Errorf("got %d of the budget taken in the end, want none", taken)
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
			n.watch(c, func(f wire.Frame) {
				mu.Lock()
				defer mu.Unlock()
				end := f.Pos + uint64(len(f.Body))
				switch {
				case f.Kind == wire.Ack:
					*peerLimit = max(*peerLimit, f.Pos+uint64(f.Num))
				case f.Kind == wire.Data && end > *limit, f.Kind == wire.Fin && end > *limit:
					t.Errorf("sent up to %d, want at most %d", end, *limit)
				}
			})
		}
		up, down := uint64(wire.FirstWindow), uint64(wire.FirstWindow)
		watch(n.near.Carriers.All()[0], &up, &down)
		watch(n.far.Carriers.All()[0], &down, &up)
		talk(t, a, func() *memStream { return b }, bytesOf(3<<20, 1), bytesOf(3<<20, 1), bytesOf(3<<20, 2), 100<<10)
		synctest.Wait()
	})
}

// A stream that ends just where its window does is closed in order, though the peer takes
// nothing for long: the Fin may go one position beyond.
func TestAFinComesAtTheEdgeOfTheWindow(t *testing.T) {
	t.Parallel()
	eitherWay(t, func(t *testing.T, n *Net, a, b *memStream) {
		n.tendAlways()
		want := bytesOf(wire.FirstWindow+n.room, 1) // the stalled stream takes a part
		a.Write(want[:n.room])
		time.Sleep(5 * time.Minute)
		go func() { a.Write(want[n.room:]); a.CloseWrite() }()
		time.Sleep(5 * time.Minute)
		got, err := io.ReadAll(b)
		if err != nil || string(got) != string(want) {
			t.Errorf("got %d bytes and %v, want %d and an EOF", len(got), err, len(want))
		}
	})
}

// keepAll has t send as much as it may to a peer that opens the largest window and acks
// nothing.
func keepAll(t *Tunnel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.send.limit = wire.MaxWindow
	for room := t.roomToSend(); room > 0; room = t.roomToSend() {
		t.send.read += min(room, wire.MaxData)
	}
}

func newTestTunnel(tb *Table) *Tunnel {
	t := newTunnel(tb, wire.Service{})
	tb.tunnels.Add(1)
	return t
}

func TestPeersThatAckNothingMakeUsKeepTheBudgetAtMost(t *testing.T) {
	t.Parallel()
	const budget, count = 10 << 20, 200
	tb := NewTable(Events{}, NewWindows(budget), true)
	var kept uint64
	var all []*Tunnel
	for i := range count {
		tn := newTestTunnel(tb)
		keepAll(tn)
		kept += tn.send.read
		all = append(all, tn)
		if tn.send.read < firstCredit-transport.StreamProfile().MinRoom {
			t.Fatalf("tunnel %d may send %d bytes, want nearly %d whatever others hold", i, tn.send.read, firstCredit)
		}
	}
	if most := uint64(budget + count*firstCredit); kept > most || kept < budget {
		t.Errorf("got %d bytes kept, want at most %d and at least the budget", kept, most)
	}
	for _, tn := range all {
		tn.Reset(wire.Aborted)
		for range 2 {
			tn.sweep(time.Now()) // one that has ended gives nothing back again
		}
	}
	if taken := tb.Shares.Windows.Taken(); taken != 0 {
		t.Errorf("got %d of the budget taken after all ended, want none", taken)
	}
}

func TestATunnelThatPausesGivesItsCreditBack(t *testing.T) {
	t.Parallel()
	const budget = 2 * wire.MaxWindow
	tb := NewTable(Events{}, NewWindows(budget), true)
	tn := newTestTunnel(tb)
	keepAll(tn)
	tn.mu.Lock()
	defer tn.mu.Unlock()
	if tn.send.acked = tn.send.read; tn.send.read != wire.MaxWindow {
		t.Errorf("got %d bytes kept, want a whole window where the budget allows it", tn.send.read)
	}
	tn.giveCredit()
	if taken := tb.Shares.Windows.Taken(); taken != 0 {
		t.Errorf("got %d of the budget taken, want none", taken)
	}
}

// allow has the windows of a client's end grow by n bytes.
func (tb *Table) allow(n int64) {
	tb.Shares.Windows = NewWindows(n)
	tb.own = tb.Shares.open(0, nil)
}
