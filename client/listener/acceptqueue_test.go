package listener

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// closedConn tells when it is closed.
type closedConn struct {
	net.Conn
	closed time.Time
	from   net.TCPAddr
}

func (c *closedConn) RemoteAddr() net.Addr { return &c.from }

func (c *closedConn) Close() error {
	if c.closed.IsZero() {
		c.closed = time.Now()
	}
	return nil
}

// here is an address of this machine.
var here = net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}

func TestAcceptQueueKeepsNobodyLongerThanItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, start := newAcceptQueue(10, time.Minute, time.Second), time.Now()
		first, second, gone := &closedConn{from: here}, &closedConn{from: here}, &closedConn{from: here}
		q.add(t.Context(), first)
		known := q.add(t.Context(), gone)
		time.Sleep(20 * time.Second)
		q.add(t.Context(), second)
		if !q.identified(known) {
			t.Error("a connection that is still there cannot leave")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := first.closed.Sub(start); got != time.Minute {
			t.Errorf("first closed after %v, want a minute", got)
		}
		if got := second.closed.Sub(start); got != 80*time.Second {
			t.Errorf("second closed after %v, want 80 seconds", got)
		}
		if !gone.closed.IsZero() {
			t.Error("closed a connection that had left")
		}
		if q.conns.Len() != 0 || q.timer != nil {
			t.Errorf("got %d conns and timer %v, want none", q.conns.Len(), q.timer)
		}
	})
}

func TestAcceptQueueClosesTheOldestForNewcomersOnceItHadTimeToSpeak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, start := newAcceptQueue(2, time.Minute, time.Second), time.Now()
		oldest, old := &closedConn{from: here}, &closedConn{from: here}
		g := q.add(t.Context(), oldest)
		q.add(t.Context(), old)
		q.add(t.Context(), &closedConn{from: here})
		if got := time.Since(start); got != time.Second {
			t.Errorf("the newcomer waited %v, want a second", got)
		}
		if oldest.closed.IsZero() || !old.closed.IsZero() {
			t.Errorf("closed oldest %v, the other %v; want the oldest alone", !oldest.closed.IsZero(), !old.closed.IsZero())
		}
		if q.identified(g) {
			t.Error("a connection that was closed could leave")
		}
		q.closeAll()
	})
}

func TestAcceptQueueLetsANewcomerInAsSoonAsSomebodyLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, start := newAcceptQueue(1, time.Minute, time.Second), time.Now()
		g := q.add(t.Context(), &closedConn{from: here})
		time.AfterFunc(time.Millisecond, func() { q.identified(g) })
		q.add(t.Context(), &closedConn{from: here})
		if got := time.Since(start); got != time.Millisecond {
			t.Errorf("the newcomer waited %v, want a millisecond", got)
		}
		q.closeAll()
	})
}

func TestAcceptQueueTurnsANewcomerAwayWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newAcceptQueue(1, time.Minute, time.Second)
		q.add(t.Context(), &closedConn{from: here})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		late := &closedConn{from: here}
		if g := q.add(ctx, late); g != nil || late.closed.IsZero() {
			t.Errorf("got %v, closed %v; want nobody, closed", g, !late.closed.IsZero())
		}
		q.closeAll()
	})
}

// Connections of other machines that say nothing keep nobody waiting: neither this machine
// nor another.
func TestAcceptQueueHasGuestsDisplaceThoseOfWhoeverHasMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q, start := newAcceptQueue(16, time.Minute, time.Second), time.Now()
		guest := func(last byte) *closedConn {
			c := &closedConn{from: net.TCPAddr{IP: net.IPv4(192, 168, 1, last)}}
			q.add(t.Context(), c)
			return c
		}
		alone, first := guest(2), guest(7)
		for range 1000 {
			guest(7)
		}
		late := guest(3)
		own := &closedConn{from: here}
		q.add(t.Context(), own)
		if time.Since(start) != 0 || !alone.closed.IsZero() || !late.closed.IsZero() || !own.closed.IsZero() || first.closed.IsZero() {
			t.Errorf("got %v of waiting, closed %v, %v, %v and %v; want none, and the crowd's oldest closed alone", time.Since(start),
				!alone.closed.IsZero(), !late.closed.IsZero(), !own.closed.IsZero(), !first.closed.IsZero())
		}
		q.closeAll()
	})
}
