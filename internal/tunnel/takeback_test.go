package tunnel

import (
	"testing"
	"testing/synctest"

	"culvert/internal/carrier"
)

// A carrier that was about to ask a tunnel for its frames when that was taken back gets
// none: they would come to a tunnel of the same number in the session that was left.
func TestWhatIsTakenBackGoesByNoCarrierOfTheSession(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{silent: true}, fate{silent: true})
		_, tunnel := n.dial(c, []byte("early"))
		synctest.Wait()
		tunnel.mu.Lock()
		left := tunnel.paths[0]
		tunnel.mu.Unlock()
		n.session.TakeBack()
		if next := n.newSession(); !next.begin(tunnel) {
			t.Fatal("it does not begin in another session")
		}
		if b, _ := left.Fill(nil, carrier.Turn{Room: 4096, Bulk: true}); len(b) > 0 {
			t.Errorf("the carrier that was left is given %d bytes", len(b))
		}
		tunnel.Reset(1)
		c.Close()
	})
}
