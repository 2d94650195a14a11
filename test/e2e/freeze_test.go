package e2e

import (
	"testing"
	"time"
)

// freezing is a path as it was reported from Russia: of every connection some 15 kB come
// from the server, those of the TLS handshake among them, and then nothing passes any more,
// neither way, and nobody is told.
func (w *world) freezing(target string) *limiter {
	return w.limit(target, false, func(int64) limits {
		return limits{bytes: [2]int64{unlimited, 15_000}, freezes: true}
	})
}

// One carrier does not pass such an answer, as TLS and WebSocket come on top of it.
func TestAChatAnswerOf14KBComesByPathsThatFreeze(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := w.freezing(w.origin().addr)
		n := w.client(1, path.addr()).ready()
		for i := range uint64(5) {
			began, before := time.Now(), path.dials.Load()
			if err := n.order(order{Do: exchange, Seed: i, Up: 300, Down: 14_000}); err != nil {
				t.Fatal(err)
			}
			took, carriers := time.Since(began), path.dials.Load()-before
			t.Logf("came after %v, by %d carriers more", took, carriers)
			if took > 30*time.Second || carriers > 3 {
				t.Errorf("answer %d came after %v, by %d carriers more, want 30 s and 3 at most", i, took, carriers)
			}
		}
		checkEnds(t, n)
	})
}

// What a network lets a connection bring is learned from the first that froze, and others take
// over before they do.
func TestChatNeverWaitsForACarrierThatFreezesOnceThatIsLearned(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := w.freezing(w.origin().addr)
		n := w.client(1, path.addr()).ready()
		c := n.chat()
		longest, froze := time.Duration(0), 0
		for range 3 * 60 {
			took, err := c.ping(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if took > 500*time.Millisecond {
				froze++
			}
			longest = max(longest, took)
			<-time.After(500 * time.Millisecond)
		}
		t.Logf("%d carriers, longest wait %v, %d froze", path.dials.Load(), longest, froze)
		if froze > 2 || longest > 3*time.Second {
			t.Errorf("chat waited %d times, %v at most, want twice and 3 s", froze, longest)
		}
	})
}

// Bulk goes by several carriers at once, a new one a second, none of which freezes, and hardly a
// byte of it comes twice.
func TestBulkIsSpreadOverCarriersThatMayBringLittle(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := w.freezing(w.origin().addr)
		n := w.client(1, path.addr()).ready()
		began := time.Now()
		d := n.download(1, 400_000)
		if err := d.rest(5 * time.Minute); err != nil {
			t.Fatal(err)
		}
		took, carriers := time.Since(began), path.dials.Load()
		t.Logf("400 kB came after %v, by %d carriers", took, carriers)
		if took > time.Minute || carriers > 60 {
			t.Errorf("got 400 kB after %v by %d carriers, want a minute and 60 at most", took, carriers)
		}
		if took < 27*time.Second { // some 12 kB by each, of which the first few come as chat's do
			t.Errorf("got 400 kB after %v, want one new connection a second at most", took)
		}
		d.Close()
		checkEnds(t, n)
	})
}

// Whatever is under way when a carrier freezes is sent again by the next, and a part of it
// comes: a download ends, however long it is.
func TestADownloadGoesOnByPathsThatFreeze(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		path := w.freezing(w.origin().addr)
		n := w.client(1, path.addr()).ready()
		began := time.Now()
		d := n.download(1, 200_000)
		for d.check.n < d.size {
			if err := d.upTo(min(d.check.n+1000, d.size), time.Minute); err != nil {
				t.Fatalf("after %d bytes: %v", d.check.n, err)
			}
		}
		if err := d.rest(time.Minute); err != nil {
			t.Error(err)
		}
		took, carriers := time.Since(began), path.dials.Load()
		t.Logf("200 kB came after %v, by %d carriers", took, carriers)
		if took > 10*time.Minute || carriers > 100 {
			t.Errorf("got 200 kB after %v by %d carriers, want 10 min and 100 at most", took, carriers)
		}
		d.Close()
		checkEnds(t, n)
	})
}

// The same on the sockets of the kernel, which keep what a carrier that is frozen was given.
func TestADownloadGoesOnByPathsThatFreezeOnTheKernelsSockets(t *testing.T) {
	if !long {
		t.Skip("takes minutes; set CULVERT_LONG")
	}
	t.Parallel()
	w := newWorld(t)
	path := w.freezing(w.edge(w.origin().addr).addr)
	n := w.client(1, path.addr()).ready()
	if err := n.order(order{Do: exchange, Seed: 9, Down: 14_000}); err != nil {
		t.Errorf("14 kB: %v", err)
	}
	d := n.download(1, 100_000)
	if err := d.rest(3 * patience); err != nil {
		t.Errorf("100 kB: %v", err)
	}
	t.Logf("came by %d carriers", path.dials.Load())
	d.Close()
	checkEnds(t, n)
}
