package e2e

import (
	"testing"
	"time"
)

// A censor freezes each connection of a front a second after it has begun.
func TestAFrontThatFreezesIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.api(apiOptions{})
		stream, gateway := w.forward(a.streamDoor(w).addr), w.forward(a.clients.addr)
		stream.delay.Store(int64(20 * time.Millisecond))
		gateway.delay.Store(int64(20 * time.Millisecond))
		n := w.clientBy(1, w.front(stream.addr()), w.textFront(gateway.addr())).ready()
		c := n.chat()
		if _, err := c.ping(time.Second); err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		defer close(stop)
		go stream.freezeAll(time.Second, stop)
		slow := 0
		for range 60 {
			took, err := c.ping(time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if took > time.Second {
				slow++
			}
			<-time.After(5 * time.Second)
		}
		if slow > 10 {
			t.Errorf("got %d slow answers of 60 and %d dials of the front, want the other taken", slow, stream.dials.Load())
		}
	})
}

// freezeAll silences each connection when it has been seen for that long.
func (f *forwarder) freezeAll(after time.Duration, stop <-chan struct{}) {
	seen := map[*pathway]time.Time{}
	for {
		select {
		case <-stop:
			return
		case now := <-time.After(100 * time.Millisecond):
			for _, p := range f.all() {
				if seen[p].IsZero() {
					seen[p] = now
				}
				p.silent[0].Store(now.Sub(seen[p]) >= after)
				p.silent[1].Store(now.Sub(seen[p]) >= after)
			}
		}
	}
}
