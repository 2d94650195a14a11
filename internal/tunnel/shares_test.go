package tunnel

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/share"
	"culvert/internal/wire"
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

// Carriers that prove themselves all at once end as many others, before one of those has told its end.
func TestABurstOfCarriersLeavesNoMoreThanThereMayBe(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		const most = 16
		n.far.Shares.Carriers = share.NewBound[uint32](most)
		var all []*carrier.Carrier
		admit := func(s *Session) bool {
			a, b := socketPair(1, fate{}, fate{})
			_, c := n.between(n.session, a, b, a, b)
			all = append(all, c)
			return s.Admit(c)
		}
		mine, other := n.far.newSession(testUser), n.far.newSession(testUser+1)
		for range 14 {
			if !admit(mine) {
				t.Fatal("got a carrier refused while there is room")
			}
		}
		for range 8 {
			if !admit(other) {
				t.Error("got another user's carrier refused, who has less")
			}
			if taken := n.far.Shares.Carriers.Taken(); taken > most {
				t.Errorf("got %d carriers, want %d at most", taken, most)
			}
		}
		synctest.Wait()
		left := 0
		for _, c := range all {
			if !c.Dead() {
				left++
			}
		}
		if ended := n.far.Shares.Carriers.Ended(); left != most || ended != 6 {
			t.Errorf("got %d carriers left and %d told as ended, want %d and 6", left, ended, most)
		}
	})
}

// A session that a carrier is about to join is not forgotten for having had nothing for long.
func TestASessionThatACarrierIsAboutToJoinStays(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		near, far := n.first()
		s := SessionOf(far)
		near.Close()
		time.Sleep(wire.HoldTunnel + time.Nanosecond)
		n.far.sessionOf(s.agreed) // by a carrier that has yet to say that it has joined
		n.far.dropUnused(s, time.Now())
		if n.far.sessionOf(s.agreed) != s {
			t.Error("got the session forgotten")
		}
	})
}

// A session that pays for itself more often than tunnels end counts what ended.
func TestATunnelIsToldAsEndedWhenItHas(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.far.Shares.Tunnels = share.NewBound[uint32](8)
		mine, second := n.far.newSession(testUser), n.far.newSession(testUser)
		for range 7 {
			mine.Charge()
		}
		for range 2 {
			second.Charge() // of which none ends, as there is none
		}
		synctest.Wait()
		if b := n.far.Shares.Tunnels; b.Ended()+b.EndedWithin() != 0 {
			t.Errorf("got %d and %d told as ended, want none", b.Ended(), b.EndedWithin())
		}
	})
}

// A session whose place another has taken ends with its carriers and tunnels, and the client begins anew.
func TestASessionThatGivesWayEndsWhole(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		near, far := n.first()
		joined(t, n, near)
		s := SessionOf(far)
		s.giveWay()
		synctest.Wait()
		if !far.Dead() || s.Tunnels() != 0 {
			t.Errorf("got a carrier that is dead: %v, and %d tunnels; want none", far.Dead(), s.Tunnels())
		}
	})
}

// What is kept for a stalled stream is kept while another user's keeps more, though less is left than it keeps.
func TestWhoeverKeepsLessThanAnotherGivesUpNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		n.far.Shares.Memory = share.NewBound[uint32](1200 << 10)
		carrier, _ := n.first()
		app, service, _ := joined(t, n, carrier)
		other := n.far.newSession(testUser + 1)
		other.accounts.memory.Add(700 << 10)
		sent := bytesOf(wire.FirstWindow, 1)
		go app.Write(sent)
		time.Sleep(time.Second)
		if kept := n.far.allTunnels()[0].accounts().memory.Has(); kept < 400<<10 {
			t.Errorf("got %d bytes kept, want most of a window", kept)
		}
		other.accounts.memory.Add(-700 << 10)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(service, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("got %v, or other bytes than were sent", err)
		}
	})
}

// Where memory is scarce the peer of a stream that takes all it gets is promised no more than a first window.
func TestWindowsAreSmallWhereMemoryIsScarce(t *testing.T) {
	t.Parallel()
	tb := NewTable(Events{}, NewWindows(1<<30), false)
	tb.Shares.Memory = share.NewBound[uint32](32 << 20)
	mine := newTestTunnel(tb)
	mine.session = tb.newSession(testUser)
	mine.recv.win.size = 4 << 20
	for _, c := range []struct {
		kept int64 // by others
		want uint64
	}{{0, 4 << 20}, {20 << 20, 4 << 20}, {26 << 20, 2 << 20}, {32 << 20, wire.FirstWindow}} {
		others := make([]*share.Account[uint32], 64)
		for i := range others {
			others[i] = tb.Shares.Memory.Open(uint32(100+i), nil)
			others[i].Add(c.kept / int64(len(others)))
		}
		mine.mu.Lock()
		if got := mine.window(); got != c.want {
			t.Errorf("others keep %d: got a window of %d, want %d", c.kept, got, c.want)
		}
		mine.mu.Unlock()
		for _, o := range others {
			o.Close()
		}
	}
}
