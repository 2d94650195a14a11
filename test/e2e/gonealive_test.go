package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"culvert/test/emulator"
)

// API Gateway may say of a connection that it has ended although the client is
// there and hears nothing of it: nobody would tell it that its carrier is dead.
// And it may be too busy to close it at once.
func TestAConnectionThatIsCalledGoneIsClosed(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		statuses := []int{http.StatusGone, http.StatusTooManyRequests, http.StatusBadGateway}
		var next atomic.Int64
		next.Store(int64(len(statuses)))
		fail := func() int {
			if i := int(next.Add(1)) - 1; i < len(statuses) {
				return statuses[i]
			}
			return 0
		}
		a := w.api(apiOptions{gateway: emulator.Options{Faults: emulator.Faults{FailPost: fail}}})
		c := w.clientBy(1, a.front(w)).ready().chat()
		for range 3 {
			if _, err := c.ping(time.Minute); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
			next.Store(0)
			if took, err := c.ping(time.Minute); err != nil || took > time.Second {
				t.Errorf("got %v after %v, want an answer within a second", err, took)
			}
		}
	})
}
