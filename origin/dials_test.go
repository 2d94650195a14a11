package origin

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"culvert/internal/tasks"
	"culvert/internal/tunnel"
)

// Of one user's dials some are under way, and its sessions take turns with the others; another
// user does not wait.
func TestDialsOfAUserTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newDialling(t)
		many, few, third, other := &tunnel.Session{User: 7}, &tunnel.Session{User: 7}, &tunnel.Session{User: 7}, &tunnel.Session{User: 8}
		p.dial(many, true, 100)
		p.dial(third, true, 100)
		p.dial(few, true, 2)
		p.dial(other, true, 1)
		synctest.Wait()
		if began := p.began(); len(began) != userDials+1 || !slices.Contains(began, other) || slices.Contains(began, few) {
			t.Errorf("got %d dials at once, want %d and another user's", len(began), userDials)
		}
		for range 4 {
			p.goOn <- struct{}{}
			synctest.Wait()
		}
		if began := p.began(); !slices.Contains(began, few) {
			t.Errorf("got none of the other session's among the next %d, want turns", len(began))
		}
		close(p.goOn)
		p.by.Wait()
		if len(p.of) != 0 || len(p.dials.by) != 0 {
			t.Errorf("got %d users and %d dials remembered, want none", len(p.of), len(p.dials.by))
		}
	})
}

// Dials of media that hang keep no chat waiting, nor another session of the user's.
func TestDialsThatHangKeepNoChatWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newDialling(t)
		one, two, third, fourth := &tunnel.Session{User: 7}, &tunnel.Session{User: 7}, &tunnel.Session{User: 7}, &tunnel.Session{User: 7}
		p.dial(one, false, 100)
		p.dial(two, false, 100)
		synctest.Wait()
		if n := len(p.began()); n != userDials-chatDials {
			t.Errorf("got %d of media, want %d", n, userDials-chatDials)
		}
		p.dial(third, true, 1)
		synctest.Wait()
		if n := len(p.began()); n != 1 {
			t.Error("got chat waiting")
		}
		p.dial(fourth, true, 100)
		synctest.Wait()
		if n := len(p.began()); n != chatDials-1 {
			t.Errorf("got %d more of chat, want %d", n, chatDials-1)
		}
		close(p.goOn)
		p.by.Wait()
	})
}

func TestOneSessionHasHalfOfItsUsersDials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newDialling(t)
		p.dial(&tunnel.Session{User: 7}, true, 100)
		synctest.Wait()
		if n := len(p.began()); n != sessionDials {
			t.Errorf("got %d dials at once, want %d", n, sessionDials)
		}
		close(p.goOn)
		p.by.Wait()
	})
}

// A dial ends with its tunnel, whether it is under way or waits.
func TestADialEndsWithItsTunnel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newDialling(t)
		s := &tunnel.Session{User: 7}
		p.dial(s, false, 100)
		for n := uint32(100); n > 0; n-- {
			p.end(tunnelKey{s, n})
		}
		synctest.Wait()
		if n := len(p.began()); n != sessionDials || len(p.of) != 0 || len(p.dials.by) != 0 {
			t.Errorf("got %d dials that began, %d users and %d dials left; want %d, and none", n, len(p.of), len(p.dials.by), sessionDials)
		}
		p.by.Wait()
	})
}

// dialling is dials that hang until they are told to go on.
type dialling struct {
	*dials
	by   *tasks.Group
	goOn chan struct{}
	said chan *tunnel.Session
	last uint32
}

func newDialling(t *testing.T) *dialling {
	by := tasks.NewGroup()
	return &dialling{dials: newDials(t.Context(), by), by: by, goOn: make(chan struct{}), said: make(chan *tunnel.Session, 500)}
}

func (p *dialling) dial(s *tunnel.Session, isChat bool, n int) {
	for range n {
		p.last++
		p.run(tunnelKey{s, p.last}, isChat, func(ctx context.Context) {
			p.said <- s
			select {
			case <-p.goOn:
			case <-ctx.Done():
			}
		})
	}
}

// began are those that have begun since it was asked last.
func (p *dialling) began() (all []*tunnel.Session) {
	for len(p.said) > 0 {
		all = append(all, <-p.said)
	}
	return all
}
