package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"

	"culvert/client/front"
)

// places counts the sockets that a network sees: each from before it is opened until it is closed.
type places struct {
	mu    sync.Mutex // guards the following
	taken int
	freed chan struct{} // closed when one is left next; nil: nobody waits for that
}

const (
	// spreadMost is how many connections there are for bulk, and mostSeen how many a network sees at once, with chat's,
	// those in doubt and those that are spent, or being opened, as they are replaced.
	spreadMost = 5
	mostSeen   = spreadMost + 2
	// roomWithin is how long chat's dial waits at most for a dial of bulk's that was given up for it.
	roomWithin = 250 * time.Millisecond
)

// errFull ends a dial of bulk's, which says nothing of its front.
var errFull = errors.New("there are as many connections as may be; wait")

// ofBulk is the key of a context of dials for bulk, which may be refused a place.
type ofBulk struct{}

// take reports whether there was a place, and takes it. most is how many there are; 0: any number.
func (p *places) take(most int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if most > 0 && p.taken >= most {
		return false
	}
	p.taken++
	return true
}

func (p *places) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.freed != nil {
		close(p.freed)
		p.freed = nil
	}
}

// count is how many are taken, and what is closed when one is left.
func (p *places) count() (taken int, freed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed == nil {
		p.freed = make(chan struct{})
	}
	return p.taken, p.freed
}

// placed is a connection that has a place until it is closed.
type placed struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *placed) Close() error {
	err := c.Conn.Close()
	c.leave()
	return err
}

// CloseWrite implements what corks ask for.
func (c *placed) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn implements syscall.Conn.
func (c *placed) SyscallConn() (syscall.RawConn, error) {
	if t, ok := c.Conn.(syscall.Conn); ok {
		return t.SyscallConn()
	}
	return nil, errors.ErrUnsupported
}

// connect has open open connections that have places.
func (c *Client) connect(open front.Connect) front.Connect {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if ctx.Value(ofBulk{}) != nil {
			if !c.places.take(mostSeen) {
				return nil, errFull
			}
		} else {
			c.places.take(0)
			c.clear(ctx)
		}
		conn, err := open(ctx, network, address)
		if err != nil {
			c.places.leave()
			return nil, err
		}
		return &placed{conn, sync.OnceFunc(c.places.leave)}, nil
	}
}

// clear ends what may end until no more places are taken than a network should see. It holds room meanwhile, so that
// nobody else ends more.
func (c *Client) clear(ctx context.Context) {
	c.spread.room <- struct{}{}
	defer func() { <-c.spread.room }()
	timer := time.NewTimer(roomWithin)
	defer timer.Stop()
	for {
		taken, freed := c.places.count()
		if taken <= mostSeen || !c.endOne(c.pool.current()) {
			return
		}
		select { // a carrier that is closed has left its place already
		case <-freed:
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// seen is how many connections of a home a network sees, with those that are being opened.
func (c *Client) seen(h *home) int {
	taken, _ := c.places.count()
	s := c.spread
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(len(h.serving())+len(s.pending)+int(s.others.Load()), taken)
}

// makeRoom is called before a dial that is not for bulk, and ended after it. Where a network sees as many carriers as it
// may, one ends.
func (c *Client) makeRoom(h *home) (ended func()) {
	c.spread.others.Add(1)
	c.spread.room <- struct{}{}
	defer func() { <-c.spread.room }()
	if c.seen(h) > mostSeen {
		c.endOne(h)
	}
	return func() { c.spread.others.Add(-1) }
}

// endOne ends, and reports whether there was, the carrier that has been there for longest of those in doubt, or else of
// those by which bulk is spread: a spent one first, and one that is being dialled before one that brings something. What it
// took goes again by others. room is held.
func (c *Client) endOne(h *home) bool {
	main, all := c.pool.view().main, h.serving()
	end := func(mayEnd func(*activeCarrier) bool) bool {
		i := slices.IndexFunc(all, func(l *activeCarrier) bool { return l != main && mayEnd(l) })
		if i >= 0 {
			all[i].Close()
		}
		return i >= 0
	}
	return end(func(l *activeCarrier) bool { return l.Doubted() }) ||
		end(func(l *activeCarrier) bool { return l.isBulk && l.Spent() }) ||
		c.spread.giveUp() ||
		end(func(l *activeCarrier) bool { return l.isBulk })
}
