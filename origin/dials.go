package origin

import (
	"container/list"
	"context"
	"slices"
	"sync"

	"culvert/internal/tasks"
	"culvert/internal/tunnel"
)

const (
	// userDials is how many dials of one user are under way at once: with a trip of 100 ms to
	// WhatsApp, hundreds a second. More wait, as goroutines that are all ready to run would keep those
	// of chat waiting, and each has 8 KiB of stack.
	userDials = 32
	// chatDials of these are for chat alone, and one session has sessionDials at most: dials that hang
	// keep no chat waiting, and no other session's.
	chatDials    = 8
	sessionDials = userDials / 2
)

// dials are those of all users. Its methods may be called by many goroutines.
type dials struct {
	ctx   context.Context // ends all of them
	tasks *tasks.Group

	mu sync.Mutex // guards the following
	of map[uint32]*userQueue
	by map[tunnelKey]*oneDial // that wait or are under way
}

// oneDial is a tunnel's.
type oneDial struct {
	key    tunnelKey
	isChat bool
	dial   func(context.Context)
	cancel context.CancelFunc // nil: it waits
	place  *list.Element      // where it waits
}

// userQueue is one user's: how many are under way, and the sessions that have any, by turns.
type userQueue struct {
	chats, others int
	sessions      []*sessionQueue
}

// sessionQueue is the dials of one session: how many are under way, and those that wait, chat
// and others, the oldest first.
type sessionQueue struct {
	of      *tunnel.Session
	running int
	waiting [2]list.List
}

// lane is where a dial waits: chat goes first.
func (o *oneDial) lane() int {
	if o.isChat {
		return 0
	}
	return 1
}

func newDials(ctx context.Context, by *tasks.Group) *dials {
	return &dials{ctx: ctx, tasks: by, of: map[uint32]*userQueue{}, by: map[tunnelKey]*oneDial{}}
}

// run has a tunnel's dial run in a goroutine of its own, soon or when those before it have ended. Its
// context ends with the tunnel.
func (d *dials) run(key tunnelKey, isChat bool, dial func(context.Context)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.of[key.session.User]
	if q == nil {
		q = &userQueue{}
		d.of[key.session.User] = q
	}
	one := &oneDial{key: key, isChat: isChat, dial: dial}
	d.by[key] = one
	s := q.session(key.session)
	one.place = s.waiting[one.lane()].PushBack(one)
	d.start(q)
}

// end is told that a tunnel is over: its dial ends, or does not begin.
func (d *dials) end(key tunnelKey) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one := d.by[key]
	if one == nil {
		return
	}
	if one.cancel != nil {
		one.cancel()
		return
	}
	delete(d.by, key)
	q := d.of[key.session.User]
	s := q.session(key.session)
	s.waiting[one.lane()].Remove(one.place)
	d.tidy(q, s)
}

// start begins what of a user's may. d.mu is held.
func (d *dials) start(q *userQueue) {
	for one := q.take(); one != nil; one = q.take() {
		var ctx context.Context
		ctx, one.cancel = context.WithCancel(d.ctx)
		d.tasks.Brief(func() {
			one.dial(ctx)
			d.ended(q, one)
		})
	}
}

// ended has what waited for a dial begin.
func (d *dials) ended(q *userQueue, one *oneDial) {
	one.cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.by, one.key)
	s := q.session(one.key.session)
	s.running--
	q.count(one, -1)
	d.start(q)
	d.tidy(q, s)
}

// tidy forgets a session that has no dial any more, and its user with the last. d.mu is held.
func (d *dials) tidy(q *userQueue, s *sessionQueue) {
	if s.running > 0 || s.waiting[0].Len()+s.waiting[1].Len() > 0 {
		return
	}
	q.sessions = slices.DeleteFunc(q.sessions, func(other *sessionQueue) bool { return other == s })
	if len(q.sessions) == 0 {
		delete(d.of, s.of.User)
	}
}

func (q *userQueue) count(one *oneDial, n int) {
	if one.isChat {
		q.chats += n
	} else {
		q.others += n
	}
}

// session finds or makes a session's dials.
func (q *userQueue) session(of *tunnel.Session) *sessionQueue {
	if i := slices.IndexFunc(q.sessions, func(s *sessionQueue) bool { return s.of == of }); i >= 0 {
		return q.sessions[i]
	}
	s := &sessionQueue{of: of}
	q.sessions = append(q.sessions, s)
	return s
}

// take is the next dial that may begin, of the session whose turn it is; nil if none may.
func (q *userQueue) take() *oneDial {
	if q.chats+q.others >= userDials {
		return nil
	}
	for i, s := range q.sessions {
		one := s.take(q.others < userDials-chatDials)
		if one != nil {
			q.sessions = append(slices.Delete(q.sessions, i, i+1), s)
			q.count(one, 1)
			return one
		}
	}
	return nil
}

// take is the session's next dial that may begin, of chat alone or of any.
func (s *sessionQueue) take(any bool) *oneDial {
	if s.running >= sessionDials {
		return nil
	}
	for lane := range s.waiting {
		if w := &s.waiting[lane]; w.Len() > 0 && (lane == 0 || any) {
			s.running++
			return w.Remove(w.Front()).(*oneDial)
		}
	}
	return nil
}
