package session

import (
	"testing"
	"time"
)

// An edge that says Unknown to each Join, or ends each carrier once it has agreed, has the
// client agree as often as it comes. The session's newest generation is still known then.
func TestASessionOfManyGenerationsGoesOn(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		for range 2 * maxGenerations {
			w.dial(s, 1, d, w.process).talk(t)
			s.newest.Store(nil) // the next agrees
		}
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		w.now = w.now.Add(GenerationLife)
		l.again(t)
		l.talk(t)
		if l.o.latest.of.j != s.current().j {
			t.Error("they have not turned to the newest generation")
		}
		if n := len(l.o.Session().generations); n != maxGenerations {
			t.Errorf("the origin keeps %d generations, want %d", n, maxGenerations)
		}
	})
}

// A clock that was wrong is set back by an hour: the session is agreed on again once.
func TestAClockThatIsSetBackCostsOneAgreement(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		w.now = w.now.Add(-time.Hour)
		l.again(t)
		l.talk(t)
		if _, ok := l.c.Again(w.now); ok {
			t.Error("the client wants to agree once more")
		}
		w.dial(s, 1, d, w.process).talk(t)
		if n := len(l.o.Session().generations); n != 2 {
			t.Errorf("they have agreed %d times, want twice", n)
		}
	})
}
