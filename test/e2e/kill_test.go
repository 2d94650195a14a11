package e2e

import (
	"errors"
	"io"
	"sync"
	"testing"
	"time"
)

// size is how much a test moves: small in an ordinary run.
func size(ordinary, full int64) int64 {
	if long {
		return full
	}
	return ordinary
}

func TestEveryByteArrivesOnceAndInOrderWhileCarriersAreKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.forward(w.edge(w.origin().addr).addr)
	n := w.client(1, f.addr()).ready()
	total, kills := size(24<<20, 256<<20), size(40, 200)
	f.left.Store(1 << 20)
	f.every.Store(2 * total / kills)
	chats := n.pings(t, patience)
	began := time.Now()
	if err := n.order(order{Do: exchange, Seed: 1, Up: total, Down: total}); err != nil {
		t.Error(err)
	}
	f.every.Store(0)
	pause := chats()
	t.Logf("%d MB each way in %v, %d kills, longest wait of chat %v", total>>20, time.Since(began).Round(time.Millisecond), f.kills.Load(), pause)
	if got := f.kills.Load(); got < kills/2 {
		t.Errorf("got %d kills, want at least %d", got, kills/2)
	}
	checkEnds(t, n)
}

// pings has a chat ping beside until the returned function is called, which
// says how long the longest trip took.
func (n *near) pings(t testing.TB, within time.Duration) (stop func() time.Duration) {
	c := n.chat()
	end, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		defer func() { longest <- most }()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			took, err := c.ping(within)
			if most = max(most, took); err != nil {
				t.Errorf("chat beside: %v", err)
				return
			}
			select {
			case <-tick.C:
			case <-end:
				if err := c.finish(); err != nil {
					t.Errorf("chat beside: %v", err)
				}
				return
			}
		}
	}()
	return func() time.Duration { close(end); return <-longest }
}

// finish ends a chat in order.
func (c chat) finish() error {
	if err := closeWrite(c.Conn); err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(patience))
	var b [1]byte
	if n, err := c.Read(b[:]); n != 0 || err != io.EOF {
		return errors.Join(errors.New("no end after the end"), err)
	}
	return c.Close()
}

// checkEnds wants every tunnel that has ended to have ended in order.
func checkEnds(t testing.TB, n *near) {
	t.Helper()
	wantSoon(t, 10*time.Second, "no tunnels left", func() bool { return n.Status().Tunnels == 0 })
	for len(n.ended) > 0 {
		if e := <-n.ended; e.Reason != 0 {
			t.Errorf("a tunnel ended: %v (from peer: %v, error: %v), want in order", e.Reason, e.FromPeer, e.Err)
		}
	}
}

func TestSeveralTunnelsOutliveKilledCarriers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.forward(w.origin().addr)
	n := w.client(1, f.addr()).ready()
	const tunnels = 6
	each := size(2<<20, 32<<20)
	f.left.Store(1 << 20)
	f.every.Store(2 * tunnels * each / size(15, 100))
	chats := n.pings(t, patience)
	var group sync.WaitGroup
	for i := range uint64(tunnels) {
		group.Go(func() {
			o := order{Do: exchange, Seed: 100 * i, Up: each, Down: each}
			if i%3 == 1 {
				o.Up = 0
			} else if i%3 == 2 {
				o.Down = 0
			}
			if err := n.order(o); err != nil {
				t.Errorf("tunnel %d: %v", i, err)
			}
		})
	}
	group.Wait()
	f.every.Store(0)
	t.Logf("%d kills, longest wait of chat %v", f.kills.Load(), chats())
	checkEnds(t, n)
}

// The next main carrier is dialled after a pause if the last was short-lived, too:
// bulk finds carriers of its own meanwhile.
func TestBulkGoesOnAtOnceAfterEveryCut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		d := w.client(1, f.addr()).ready().download(1, 64<<20)
		for i := range int64(7) {
			began := time.Now()
			if err := d.upTo((i+1)<<23, time.Minute); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 280*time.Millisecond { // 200 are left to chance, and 50 to a turn of the carrier's opening
				t.Errorf("after cut %d: got a pause of %v, want 280 ms at most", i, took)
			}
			f.kill()
		}
		if err := d.rest(time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// A client takes long to give up the way back to a stream door that answers
// nothing.
func TestACarrierThatDiesWhileItsSuccessorIsSoughtIsReplacedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		stream, gateway := w.forward(a.streamDoor(w).addr), w.forward(a.clients.addr)
		stream.refuse.Store(true)
		n := w.clientBy(1, w.front(stream.addr()), w.textFront(gateway.addr())).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		stream.refuse.Store(false)
		stream.deaf.Store(true)
		before := stream.dials.Load()
		for stream.dials.Load() == before {
			<-time.After(100 * time.Millisecond)
		}
		gateway.kill()
		took, err := c.ping(time.Minute)
		t.Logf("waited %v", took)
		if err != nil || took > 2*time.Second {
			t.Errorf("got %v after %v, want an answer within 2 s", err, took)
		}
	})
}
