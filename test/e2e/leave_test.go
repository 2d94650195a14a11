package e2e

import (
	"testing"
	"time"

	"culvert/internal/link"
)

// Whoever ends a client ends its connections to WhatsApp: the origin would hold
// them for minutes.
func TestAClientThatEndsEndsItsTunnels(t *testing.T) {
	for name, front := range map[string]func(*world) link.Front{
		"stream":  func(w *world) link.Front { return w.front(w.origin().addr) },
		"gateway": func(w *world) link.Front { return w.api(apiOptions{}).front(w) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				n := w.clientBy(1, front(w)).ready()
				for range 10 {
					if _, err := n.chat().ping(time.Second); err != nil {
						t.Fatal(err)
					}
				}
				n.stop()
				<-time.After(time.Second)
				if got := w.up.live(); got != 0 {
					t.Errorf("got %d streams at the server, want none", got)
				}
			})
		})
	}
}
