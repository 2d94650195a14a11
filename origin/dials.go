package origin

import (
	"sync"

	"culvert/internal/tasks"
	"culvert/internal/tunnel"
)

// userDials is how many dials of one user are under way at once: with a trip of 100 ms to
// WhatsApp, hundreds a second. More wait, as goroutines that are all ready to run would keep those
// of chat waiting, and each has 8 KiB of stack.
const userDials = 32

// dials are those of all users. Its methods may be called by many goroutines.
type dials struct {
	tasks *tasks.Group

	mu sync.Mutex // guards the following
	of map[uint32]*userQueue
}

// userQueue is one user's: how many are under way, and the sessions that have more, by turns.
type userQueue struct {
	running int
	waiting []*sessionQueue
}

// sessionQueue is the dials of one session that wait, the oldest first.
type sessionQueue struct {
	of  *tunnel.Session
	all []func()
}

func newDials(by *tasks.Group) *dials { return &dials{tasks: by, of: map[uint32]*userQueue{}} }

// run has dial run in a goroutine of its own, soon or when those before it have ended.
func (d *dials) run(s *tunnel.Session, dial func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.of[s.User]
	if q == nil {
		q = &userQueue{}
		d.of[s.User] = q
	}
	if q.running >= userDials {
		q.put(s, dial)
		return
	}
	q.running++
	d.tasks.Go(func() { d.work(s.User, dial) })
}

// work runs a dial of user's, and those that have waited for it.
func (d *dials) work(user uint32, dial func()) {
	for ; dial != nil; dial = d.next(user) {
		dial()
	}
}

// next is what user's next dial is; nil: none waits, and the one that asks has ended.
func (d *dials) next(user uint32) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.of[user]
	if len(q.waiting) > 0 {
		return q.take()
	}
	if q.running--; q.running == 0 {
		delete(d.of, user)
	}
	return nil
}

func (q *userQueue) put(s *tunnel.Session, dial func()) {
	for _, w := range q.waiting {
		if w.of == s {
			w.all = append(w.all, dial)
			return
		}
	}
	q.waiting = append(q.waiting, &sessionQueue{of: s, all: []func(){dial}})
}

// take is the next dial of the session whose turn it is.
func (q *userQueue) take() func() {
	w := q.waiting[0]
	dial := w.all[0]
	w.all[0], w.all = nil, w.all[1:]
	if q.waiting = q.waiting[1:]; len(w.all) > 0 {
		q.waiting = append(q.waiting, w)
	}
	return dial
}
