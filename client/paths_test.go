package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
)

// late is a transport that takes a while.
type late struct{ *freezable }

func (s late) WriteMessage(b []byte) error {
	time.Sleep(50 * time.Millisecond)
	return s.freezable.WriteMessage(b)
}

// A carrier that falls silent before its first answer is doubted as soon as one before it would be, if that is in doubt
// itself. Where it is not, a front may have much to do that many come back to.
func TestACarrierAfterOneInDoubtIsDoubtedSoon(t *testing.T) {
	t.Parallel()
	for _, wasDoubted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			c, p := idleClient(t, link.Front{Gateway: true})
			dial := func(isFrozen bool) (*activeCarrier, *freezable) {
				s := p.socket(true)
				f := &freezable{memorySocket: s.Transport.(*memorySocket)}
				f.frozen.Store(isFrozen)
				s.Transport = late{f}
				c.reach = func(ctx context.Context, _ wanted) (*socket, int, error) { return inPlace(ctx, c, s) }
				l, err := c.dial(t.Context(), c.pool.current(), anyFront)
				if err != nil {
					t.Fatal(err)
				}
				return l, f
			}
			before, f := dial(false)
			time.Sleep(time.Second)
			if f.frozen.Store(wasDoubted); wasDoubted {
				before.Ping()
				time.Sleep(4 * time.Second)
			}
			next, _ := dial(true)
			time.Sleep(2 * time.Second)
			if before.Doubted() != wasDoubted || next.Doubted() != wasDoubted {
				t.Errorf("got in doubt %v and then %v, want both %v", before.Doubted(), next.Doubted(), wasDoubted)
			}
		})
	}
}
