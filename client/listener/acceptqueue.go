package listener

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"

	"culvert/internal/share"
)

// acceptQueue holds the connections that were accepted and have not yet said what
// they are: at most size of them, none for longer than limit. One timer serves all, so that a
// connection that speaks at once costs no deadline.
//
// A full queue closes its oldest connection if that has had patience to speak;
// otherwise it lets newcomers wait, so that a burst of good connections is not
// cut down before their goroutines have run. Connections from other machines are
// guests: whoever of them has most loses its oldest at once, and none of this machine waits
// for them.
type acceptQueue struct {
	size            int
	guests          *share.Guests
	limit, patience time.Duration

	mu    sync.Mutex  // guards the following
	conns list.List   // of *unknown, oldest first
	own   int         // of this machine
	timer *time.Timer // closes the oldest; nil while it does not run

	freed chan struct{} // says that a place became free
}

// unknown is a connection in an acceptQueue.
type unknown struct {
	conn  net.Conn
	since time.Time
	place *list.Element // nil once it is identified or closed
	guest *share.Guest  // nil: it is of this machine
}

func newAcceptQueue(size int, limit, patience time.Duration) *acceptQueue {
	return &acceptQueue{size: size, guests: share.NewGuests(size), limit: limit, patience: patience, freed: make(chan struct{}, 1)}
}

// add admits c, after closing another or waiting if the queue is full. If
// ctx ends first, c is closed and add returns nil. Only one goroutine may
// call it.
func (q *acceptQueue) add(ctx context.Context, c net.Conn) *unknown {
	u := &unknown{conn: c}
	if u.guest = share.Receive(q.guests, c, func() { q.close(u) }); u.guest != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.push(u)
		return u
	}
	for {
		wait, ok := q.tryAdd(u)
		if ok {
			return u
		}
		select {
		case <-ctx.Done():
			c.Close()
			return nil
		case <-q.freed:
		case <-time.After(wait):
		}
	}
}

// tryAdd admits u, or says how long the oldest still has.
func (q *acceptQueue) tryAdd(u *unknown) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.own >= q.size {
		if wait := q.closeOldest(); wait > 0 {
			return wait, false
		}
	}
	q.push(u)
	return 0, true
}

// push puts u at the end. mu is held.
func (q *acceptQueue) push(u *unknown) {
	u.since = time.Now()
	u.place = q.conns.PushBack(u)
	if u.guest == nil {
		q.own++
	}
	q.arm()
}

// close ends u, if it is here yet.
func (q *acceptQueue) close(u *unknown) {
	if q.identified(u) {
		u.conn.Close()
	}
}

// makeRoom closes the oldest connection if it has had its time to speak.
func (q *acceptQueue) makeRoom() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeOldest()
}

// closeOldest returns how long the oldest of this machine still has, 0 after closing it. mu
// is held.
func (q *acceptQueue) closeOldest() time.Duration {
	front := q.conns.Front()
	for front != nil && front.Value.(*unknown).guest != nil {
		front = front.Next()
	}
	if front == nil {
		return 0
	}
	u := front.Value.(*unknown)
	if wait := q.patience - time.Since(u.since); wait > 0 {
		return wait
	}
	q.remove(u)
	u.conn.Close()
	return 0
}

// identified takes out a connection that is known now. It returns false if the
// connection was closed before, or taken out.
func (q *acceptQueue) identified(u *unknown) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if u.place == nil {
		return false
	}
	q.remove(u)
	return true
}

// remove takes u out. mu is held.
func (q *acceptQueue) remove(u *unknown) {
	q.conns.Remove(u.place)
	u.place = nil
	u.guest.Leave()
	if u.guest == nil {
		q.own--
	}
	select {
	case q.freed <- struct{}{}:
	default:
	}
}

// arm starts the timer for the oldest connection, unless it runs. mu is held.
func (q *acceptQueue) arm() {
	front := q.conns.Front()
	if q.timer != nil || front == nil {
		return
	}
	q.timer = time.AfterFunc(q.limit-time.Since(front.Value.(*unknown).since), q.sweep)
}

// sweep closes all that have been here for longer than limit.
func (q *acceptQueue) sweep() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer = nil
	q.closeOlder(q.limit)
	q.arm()
}

// closeAll empties the queue, to which nobody may add any more.
func (q *acceptQueue) closeAll() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeOlder(0)
	if q.timer != nil {
		q.timer.Stop()
	}
}

// closeOlder closes the connections of at least that age. mu is held.
func (q *acceptQueue) closeOlder(age time.Duration) {
	for e := q.conns.Front(); e != nil; e = q.conns.Front() {
		u := e.Value.(*unknown)
		if time.Since(u.since) < age {
			return
		}
		q.remove(u)
		u.conn.Close()
	}
}
