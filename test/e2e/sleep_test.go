package e2e

import (
	"sync/atomic"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/link"
)

// A machine that slept finds its carriers dead, as nobody answered for it, and
// whoever opens it wants the app to work.
func TestChatWorksSoonAfterASleep(t *testing.T) {
	for _, door := range []string{"stream", "gateway"} {
		t.Run(door, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				a := w.api(apiOptions{})
				way := w.forward(a.clients.addr)
				front := w.textFront(way.addr())
				if door == "stream" {
					way.target.Store(a.streamDoor(w).addr)
					front = w.front(way.addr())
				}
				way.delay.Store(int64(50 * time.Millisecond))
				var slept atomic.Int64
				wall := func() time.Time { return time.Now().Add(time.Duration(slept.Load())) }
				n := w.clientOf(client.Config{Now: wall, Link: &link.Link{Keys: w.master.Client(1), Fronts: []link.Front{front}}}).ready()
				c := n.chat()
				for range 3 {
					if _, err := c.ping(time.Second); err != nil {
						t.Fatal(err)
					}
					<-time.After(30 * time.Second)
					way.silence(true, true)
					slept.Add(int64(2 * time.Minute))
					if took, err := c.ping(time.Minute); err != nil || took > 3*time.Second {
						t.Errorf("got %v after %v, want an answer within 3 s", err, took)
					}
				}
			})
		})
	}
}
