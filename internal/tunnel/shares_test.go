package tunnel

import (
	"testing"
	"time"

	"culvert/internal/share"
)

// Where tunnels are scarce, one of whoever has most ends for another's, and none of whoever has
// as many as that one.
func TestATunnelOfWhoeverHasMostEndsForAnother(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.far.Shares.Tunnels = share.NewBound[uint32](8)
		carrier, _ := n.first()
		const many = 6
		for range many {
			joined(t, n, carrier)
			if !n.far.allSessions()[0].Charge() {
				t.Fatal("got a tunnel refused while there is room")
			}
		}
		mine := n.far.allSessions()[0]
		other := n.far.newSession(testUser + 1)
		for range 4 {
			if !other.Charge() {
				t.Error("got another user refused, who has less")
			}
		}
		time.Sleep(time.Second)
		if left := mine.Tunnels(); left != many-2 {
			t.Errorf("got %d tunnels left, want %d: two ended for others", left, many-2)
		}
	})
}
