package tunnel

import (
	"io"
	"testing"
	"time"

	"culvert/internal/wire"
)

func TestAWrongClockIsPutRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ refusals, tries int }{"then let in": {1, 2}, "wrong again": {9, 1 + maxAgain}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, n *Net) {
				tries := 0
				n.refuse = func() (wire.Reason, bool) { tries++; return wire.Clock, tries <= c.refusals }
				start := n.hand.Start
				n.hand.Start = func(id wire.TunnelID, early []byte) (Start, error) {
					s, err := start(id, early)
					s.Again = func(_ wire.Reason, now time.Time) (Start, error) {
						if now.Unix() != time.Now().Unix() {
							t.Errorf("got %v, want the origin's time", now)
						}
						return n.hand.Start(id, early)
					}
					return s, err
				}
				carrier, _ := n.carrier(fate{}, fate{})
				app, _ := n.dial(carrier, 1, []byte("early"))
				if c.refusals == 1 {
					talk(t, app, func() *memStream { return <-n.service(1) }, nil, []byte("early"), []byte("down"), 9)
				} else if _, err := app.Read(make([]byte, 1)); err == nil || err == io.EOF {
					t.Errorf("got %v, want a reset", err)
				}
				if tries != c.tries {
					t.Errorf("got %d tries, want %d", tries, c.tries)
				}
			})
		})
	}
}
