package e2e

import (
	"testing"
	"time"
)

// The way back to a stream door that answers nothing takes long to be given up.
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
