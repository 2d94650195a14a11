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
}

func (c *closedConn) Close() error {
	if c.closed.IsZero() {
		c.closed = time.Now()
	}
	return nil
}

func TestLobbyKeepsNobodyLongerThanItsLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, start := newLobby(10, time.Minute, time.Second), time.Now()
		first, second, gone := &closedConn{}, &closedConn{}, &closedConn{}
		l.enter(t.Context(), first)
		known := l.enter(t.Context(), gone)
		time.Sleep(20 * time.Second)
		l.enter(t.Context(), second)
		if !l.leave(known) {
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
		if l.guests.Len() != 0 || l.timer != nil {
			t.Errorf("got %d guests and timer %v, want none", l.guests.Len(), l.timer)
		}
	})
}

func TestLobbyClosesTheOldestForNewcomersOnceItHadTimeToSpeak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, start := newLobby(2, time.Minute, time.Second), time.Now()
		oldest, old := &closedConn{}, &closedConn{}
		g := l.enter(t.Context(), oldest)
		l.enter(t.Context(), old)
		l.enter(t.Context(), &closedConn{})
		if got := time.Since(start); got != time.Second {
			t.Errorf("the newcomer waited %v, want a second", got)
		}
		if oldest.closed.IsZero() || !old.closed.IsZero() {
			t.Errorf("closed oldest %v, the other %v; want the oldest alone", !oldest.closed.IsZero(), !old.closed.IsZero())
		}
		if l.leave(g) {
			t.Error("a connection that was closed could leave")
		}
		l.closeAll()
	})
}

func TestLobbyLetsANewcomerInAsSoonAsSomebodyLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, start := newLobby(1, time.Minute, time.Second), time.Now()
		g := l.enter(t.Context(), &closedConn{})
		time.AfterFunc(time.Millisecond, func() { l.leave(g) })
		l.enter(t.Context(), &closedConn{})
		if got := time.Since(start); got != time.Millisecond {
			t.Errorf("the newcomer waited %v, want a millisecond", got)
		}
		l.closeAll()
	})
}

func TestLobbyTurnsANewcomerAwayWhenItIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLobby(1, time.Minute, time.Second)
		l.enter(t.Context(), &closedConn{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		late := &closedConn{}
		if g := l.enter(ctx, late); g != nil || late.closed.IsZero() {
			t.Errorf("got %v, closed %v; want nobody, closed", g, !late.closed.IsZero())
		}
		l.closeAll()
	})
}
