package listener

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

// lobby holds the connections that have not yet said what they are: at most
// size of them, none for longer than limit. One timer serves all, so that a
// connection that speaks at once costs no deadline.
//
// A full lobby closes its oldest connection if that has had patience to speak;
// otherwise it lets newcomers wait, so that a burst of good connections is not
// cut down before their goroutines have run.
type lobby struct {
	size            int
	limit, patience time.Duration

	mu     sync.Mutex  // guards the following
	guests list.List   // of *guest, oldest first
	timer  *time.Timer // closes the oldest; nil while it does not run

	left chan struct{} // a place became free
}

type guest struct {
	conn  net.Conn
	since time.Time
	place *list.Element // nil once it has left or was closed
}

func newLobby(size int, limit, patience time.Duration) *lobby {
	return &lobby{size: size, limit: limit, patience: patience, left: make(chan struct{}, 1)}
}

// enter admits c, after closing another or waiting if the lobby is full. If
// ctx ends first, c is closed and enter returns nil. Only one goroutine may
// call it.
func (l *lobby) enter(ctx context.Context, c net.Conn) *guest {
	for {
		g, wait := l.tryEnter(c)
		if g != nil {
			return g
		}
		select {
		case <-ctx.Done():
			c.Close()
			return nil
		case <-l.left:
		case <-time.After(wait):
		}
	}
}

// tryEnter admits c, or says how long the oldest still has.
func (l *lobby) tryEnter(c net.Conn) (*guest, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.guests.Len() >= l.size {
		if wait := l.closeOldest(); wait > 0 {
			return nil, wait
		}
	}
	g := &guest{conn: c, since: time.Now()}
	g.place = l.guests.PushBack(g)
	l.arm()
	return g, 0
}

// makeRoom closes the oldest connection if it has had its time to speak.
func (l *lobby) makeRoom() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeOldest()
}

// closeOldest returns how long the oldest still has, 0 after closing it.
func (l *lobby) closeOldest() time.Duration {
	front := l.guests.Front()
	if front == nil {
		return 0
	}
	g := front.Value.(*guest)
	if wait := l.patience - time.Since(g.since); wait > 0 {
		return wait
	}
	l.remove(g)
	g.conn.Close()
	return 0
}

// leave says that the connection is known now. False: it was closed before.
func (l *lobby) leave(g *guest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.place == nil {
		return false
	}
	l.remove(g)
	return true
}

func (l *lobby) remove(g *guest) {
	l.guests.Remove(g.place)
	g.place = nil
	select {
	case l.left <- struct{}{}:
	default:
	}
}

// arm starts the timer for the oldest guest, unless it runs.
func (l *lobby) arm() {
	front := l.guests.Front()
	if l.timer != nil || front == nil {
		return
	}
	l.timer = time.AfterFunc(l.limit-time.Since(front.Value.(*guest).since), l.sweep)
}

// sweep closes all that have been here for longer than limit.
func (l *lobby) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	l.closeOlder(l.limit)
	l.arm()
}

// closeAll empties the lobby, which nobody may enter any more.
func (l *lobby) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeOlder(0)
	if l.timer != nil {
		l.timer.Stop()
	}
}

func (l *lobby) closeOlder(age time.Duration) {
	for e := l.guests.Front(); e != nil; e = l.guests.Front() {
		g := e.Value.(*guest)
		if time.Since(g.since) < age {
			return
		}
		l.remove(g)
		g.conn.Close()
	}
}
