package e2e

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/wire"
)

func TestAnEdgeMayBeRestartedUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.origin()
	e := w.edge(o.addr)
	f := w.forward(e.addr)
	n := w.client(1, f.addr()).ready()
	chats := n.pings(t, patience)
	done := make(chan error, 1)
	total := size(16<<20, 128<<20)
	began := time.Now()
	go func() { done <- n.order(order{Do: exchange, Seed: 1, Up: total, Down: total}) }()
	for i := range size(4, 12) {
		goal := f.moved.Load() + total/5
		if !eventually(time.Minute, func() bool { return f.moved.Load() > goal || len(done) > 0 }) {
			t.Fatalf("restart %d: nothing moves", i)
		}
		next := w.edge(o.addr)
		f.target.Store(next.addr)
		e.stop() // drains for no time: what it holds is cut
		e = next
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	t.Logf("%d MB each way in %v, longest wait of chat %v", total>>20, time.Since(began).Round(time.Millisecond), chats())
	checkEnds(t, n)
}

// Nobody knows any more what was sent, so the app must not believe that it
// has all: it gets a reset, and connects anew.
func TestAnOriginThatComesBackEmptyResetsWhatItDoesNotKnow(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.origin()
		f := w.forward(o.addr)
		f.delay.Store(int64(20 * time.Millisecond))
		n := w.client(1, f.addr()).ready()
		talking, waiting := n.chat(), n.chat()
		for _, c := range []chat{talking, waiting} {
			if _, err := c.ping(time.Second); err != nil {
				t.Fatal(err)
			}
		}
		d := n.download(1, 64<<20)
		if err := d.upTo(4<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		f.refuse.Store(true)
		f.kill() // first, so that nobody hears what the old one has to say
		o.crash()
		next := w.origin()
		f.target.Store(next.addr)
		<-time.After(time.Second)
		f.refuse.Store(false)
		began := time.Now()
		talking.Write([]byte("still there?"))
		for name, c := range map[string]chat{"one that talks": talking, "one that waits": waiting, "a download": d.chat} {
			_, err := readEnd(c)
			wantReset(t, name, err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("resets took %v, want 5 s at most", took)
		}
		if _, err := n.chat().ping(5 * time.Second); err != nil {
			t.Errorf("a new connection: %v", err)
		}
		for range 3 {
			if e := <-n.ended; e.Reason != wire.Unknown {
				t.Errorf("got %v, want %v", e.Reason, wire.Unknown)
			}
		}
	})
}

func TestADrainingOriginServesWhatItHolds(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o, other := w.origin(), w.origin()
		first, second := w.forward(o.addr), w.forward(other.addr)
		for _, f := range []*forwarder{first, second} {
			f.delay.Store(int64(20 * time.Millisecond))
		}
		n := w.client(1, first.addr(), second.addr()).ready()
		c, d := n.chat(), n.download(1, 16<<20)
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		if err := d.upTo(1<<20, time.Minute); err != nil {
			t.Fatal(err)
		}
		drained := make(chan error, 1)
		go func() { drained <- o.Drain(t.Context()) }()
		<-time.After(3 * time.Second)
		if _, err := c.ping(time.Second); err != nil {
			t.Errorf("a chat that it holds: %v", err)
		}
		late := n.chat()
		if _, err := late.ping(5 * time.Second); err != nil {
			t.Errorf("a new chat: %v", err)
		}
		if got := second.open(); got == 0 {
			t.Error("got no carrier to the other origin, want one")
		}
		if err := d.rest(time.Minute); err != nil {
			t.Errorf("a download that it holds: %v", err)
		}
		<-time.After(2 * time.Minute)
		t.Logf("carriers: %d to the draining origin, %d to the other", first.open(), second.open())
		if got := first.open() + second.open(); got > 4 {
			t.Errorf("got %d carriers, want no more than 4", got)
		}
		if err := c.finish(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		select {
		case err := <-drained:
			if err != nil {
				t.Errorf("drain: %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the drain does not end, although nothing is held")
		}
		if _, err := late.ping(time.Second); err != nil {
			t.Errorf("the new chat, after the drain: %v", err)
		}
	})
}

// A client that has not heard of it yet begins a tunnel at an origin that drains, where the way takes long.
func TestADrainingOriginTakesWhatIsOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.origin()
		f := w.forward(o.addr)
		f.delay.Store(int64(2 * time.Second))
		n := w.client(1, f.addr()).ready()
		if _, err := n.chat().ping(time.Minute); err != nil {
			t.Fatal(err)
		}
		go o.Drain(t.Context())
		<-time.After(1800 * time.Millisecond)
		if _, err := n.chat().ping(time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// Without another origin a client keeps asking, but does not pile up carriers.
func TestADrainingOriginIsNotFlooded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.origin()
		f := w.forward(o.addr)
		n := w.client(1, f.addr()).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		go o.Drain(t.Context())
		<-time.After(10 * time.Minute)
		if _, err := c.ping(time.Second); err != nil {
			t.Error(err)
		}
		t.Logf("%d carriers, %d dials", f.open(), f.dials.Load())
		if carriers, dials := f.open(), f.dials.Load(); carriers > 3 || dials > 40 {
			t.Errorf("got %d carriers and %d dials after 10 minutes, want 3 and 40 at most", carriers, dials)
		}
	})
}
