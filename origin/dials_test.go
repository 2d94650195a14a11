package origin

import (
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
		by := tasks.NewGroup()
		d, goOn := newDials(by), make(chan struct{})
		many, few, other := &tunnel.Session{User: 7}, &tunnel.Session{User: 7}, &tunnel.Session{User: 8}
		var began []*tunnel.Session
		said := make(chan *tunnel.Session, 200)
		dial := func(s *tunnel.Session, n int) {
			for range n {
				d.run(s, func() { said <- s; <-goOn })
			}
		}
		dial(many, 100)
		dial(few, 2)
		dial(other, 1)
		synctest.Wait()
		for range userDials + 1 {
			began = append(began, <-said)
		}
		if len(said) != 0 || !slices.Contains(began, other) || slices.Contains(began, few) {
			t.Errorf("got %d more dials at once, or another user waiting", len(said))
		}
		for range 4 {
			goOn <- struct{}{}
			synctest.Wait()
		}
		close(goOn)
		by.Wait()
		close(said)
		place := 0
		for i := 1; ; i++ {
			if s := <-said; s == nil {
				break
			} else if s == few {
				place = i
			}
		}
		if place == 0 || place > 8 || len(d.of) != 0 {
			t.Errorf("got the other session's last dial in place %d, %d users remembered; want turns, and none", place, len(d.of))
		}
	})
}
