package listener

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

// acceptQueue holds the connections that were accepted and have not yet said what
// they are: at most size of them, none for longer than limit. One timer serves all, so that a
// connection that speaks at once costs no deadline.
//
// A full queue closes its oldest connection if that has had patience to speak;
// otherwise it lets newcomers wait, so that a burst of good connections is not
// cut down before their goroutines have run.
type acceptQueue struct {
	size            int
	limit, patience time.Duration

	mu    sync.Mutex  // guards the following
	conns list.List   // of *unknown, oldest first
	timer *time.Timer // closes the oldest; nil while it does not run

	freed chan struct{} // says that a place became free
}

// unknown is a connection in an acceptQueue.
type unknown struct {
	conn  net.Conn
	since time.Time
	place *list.Element // nil once it is identified or closed
}

func newAcceptQueue(size int, limit, patience time.Duration) *acceptQueue {
	return &acceptQueue{size: size, limit: limit, patience: patience, freed: make(chan struct{}, 1)}
}

// add admits c, after closing another or waiting if the queue is full. If
// ctx ends first, c is closed and add returns nil. Only one goroutine may
// call it.
func (q *acceptQueue) add(ctx context.Context, c net.Conn) *unknown {
	for {
		u, wait := q.tryAdd(c)
		if u != nil {
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

// tryAdd admits c, or says how long the oldest still has.
func (q *acceptQueue) tryAdd(c net.Conn) (*unknown, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.conns.Len() >= q.size {
		if wait := q.closeOldest(); wait > 0 {
			return nil, wait
		}
	}
	u := &unknown{conn: c, since: time.Now()}
	u.place = q.conns.PushBack(u)
	q.arm()
	return u, 0
}

// makeRoom closes the oldest connection if it has had its time to speak.
func (q *acceptQueue) makeRoom() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closeOldest()
}

// closeOldest returns how long the oldest still has, 0 after closing it. mu is
// held.
func (q *acceptQueue) closeOldest() time.Duration {
	front := q.conns.Front()
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
