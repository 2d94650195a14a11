package e2e

import (
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/origin"
)

// On a slow path media must not queue in front of chat: it moves to carriers
// of its own.
func TestChatStaysQuickBesideBulk(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		f := w.forward(w.origin().addr)
		f.delay.Store(int64(50 * time.Millisecond))
		f.rate.Store(2 << 20)
		n := w.client(1, f.addr()).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		var downloads sync.WaitGroup
		for i := range uint64(4) {
			d := n.download(10*i, 8<<20)
			downloads.Go(func() {
				if err := d.rest(5 * time.Minute); err != nil {
					t.Error(err)
				}
			})
		}
		<-time.After(3 * time.Second) // until they have moved
		var trips []time.Duration
		for range 20 {
			took, err := c.ping(10 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			trips = append(trips, took)
			<-time.After(50 * time.Millisecond)
		}
		slices.Sort(trips)
		t.Logf("median %v, longest %v", trips[10], trips[19])
		if trips[19] > 250*time.Millisecond {
			t.Errorf("the longest trip took %v, want 250 ms at most on a path of 100", trips[19])
		}
		downloads.Wait()
	})
}

func TestManyStreamsShareFewCarriers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.forward(w.origin().addr)
	n := w.client(1, f.addr()).ready()
	var group sync.WaitGroup
	each := size(768<<10, 8<<20)
	for i := range uint64(64) {
		group.Go(func() {
			if err := n.order(order{Do: exchange, Seed: 10 * i, Up: each / 4, Down: each}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := f.dials.Load(); got > 5 {
		t.Errorf("got %d carriers, want 1 and 4 at most", got)
	}
	checkEnds(t, n)
}

// It runs alone, as it measures the heap.
func TestStalledReadersDisturbNobody(t *testing.T) {
	w := newWorld(t)
	o := w.origin(func(c *origin.Config) { c.Windows = 1 }) // none may grow: the kernel takes some MB before it stalls
	l := &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{w.front(o.addr)}}
	n := w.clientOf(client.Config{Link: l, Windows: 1}).ready()
	before := heap()
	var stuck []*download
	for i := range uint64(12) {
		d := n.download(10*i, 1<<30)
		if err := d.upTo(64<<10, patience); err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, d)
	}
	var writers sync.WaitGroup
	for range 6 { // and servers that read nothing
		c := n.app()
		c.Write(order{Do: stalled}.bytes())
		c.SetWriteDeadline(time.Now().Add(time.Second))
		writers.Go(func() { sendPattern(c, 1, 1<<30) })
	}
	writers.Wait()
	if took, err := n.chat().ping(2 * time.Second); err != nil || took > time.Second {
		t.Errorf("chat beside: got %v, %v; want an answer at once", took, err)
	}
	if err := n.order(order{Do: exchange, Seed: 9, Up: 8 << 20, Down: 8 << 20}); err != nil {
		t.Errorf("bulk beside: %v", err)
	}
	grown := heap() - before
	t.Logf("18 stalled tunnels hold %d KiB each, at both ends together", grown>>10/18)
	// A window is kept twice, at the sender and at the receiver. Its frames may
	// fill a quarter of their buffers when a carrier is new.
	if limit := int64(18 * 2 * 4 * wire.FirstWindow); grown > limit {
		t.Errorf("got %d bytes of heap, want %d at most", grown, limit)
	}
	for _, d := range stuck {
		abort(d.Conn)
	}
}

// heap is what is in use after collecting.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func TestAClientMayOpenThousandsOfTunnelsAndSayNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		n := w.client(1, w.origin().addr).ready()
		beside := w.client(2, w.origin().addr).ready()
		const many = 2000
		var apps []net.Conn
		for range many {
			apps = append(apps, n.app())
		}
		<-time.After(time.Minute)
		if got := n.Status().Tunnels; got != many {
			t.Errorf("got %d tunnels, want %d", got, many)
		}
		if _, err := beside.chat().ping(time.Second); err != nil {
			t.Errorf("another user: %v", err)
		}
		if _, err := n.chat().ping(time.Second); err != nil {
			t.Errorf("the same user: %v", err)
		}
		for _, c := range apps {
			c.Close()
		}
		<-time.After(time.Second)
		if got := w.up.live(); got > 2 {
			t.Errorf("got %d streams at the server, want 2", got)
		}
	})
}

func TestAStrangerWithManyConnectionsDisturbsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	n := w.client(1, o.addr).ready()
	dial := w.dialTLS(o.addr)
	var strangers []net.Conn
	for range 300 {
		c := dial()
		io.WriteString(c, w.upgrade("").String()[:100]) // never to be finished
		strangers = append(strangers, c)
	}
	began := time.Now()
	if took, err := n.chat().ping(5 * time.Second); err != nil || took > time.Second {
		t.Errorf("got %v, %v; want an answer at once", took, err)
	}
	if _, err := w.client(2, o.addr).ready().chat().ping(5 * time.Second); err != nil {
		t.Errorf("a new client: %v", err)
	}
	t.Logf("both after %v", time.Since(began))
	for _, c := range strangers {
		c.Close()
	}
}
