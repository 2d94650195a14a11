package client

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"culvert/client/front"
	"culvert/internal/netpoll"
)

// places counts the sockets that a network sees: each from before it is opened until it is closed.
type places struct {
	mu    sync.Mutex // guards the following
	taken int
	freed chan struct{} // closed when one is left next; nil: nobody waits for that

	room chan struct{} // has room for one: who ends carriers for others to have their places
}

const (
	// spreadMost is how many connections there are for bulk, and mostSeen how many a network sees at once, with chat's,
	// those in doubt and those that are spent, or being opened, as they are replaced.
	spreadMost = 5
	mostSeen   = spreadMost + 2
	// roomWithin is how long chat's dial waits at most for what ends for it to leave its place.
	roomWithin = 250 * time.Millisecond
	// mostEnded is how many connections one dial may end.
	mostEnded = 2
)

// errFull ends a dial of bulk's, which says nothing of its front.
var errFull = errors.New("there are as many connections as may be; wait")

// claim is what one dial has of the places. A dial of bulk's may be refused one; any other gets as many as it asks for, and
// others may end for that.
type claim struct {
	end   context.CancelFunc // of a dial of bulk's; nil: of another
	held  atomic.Int32       // places that it has
	full  atomic.Bool        // it has ended as there was none for it
	ended int                // connections that have ended for it; whoever holds room has that
}

// claimKey is the key of a dial's context for its *claim. A dial without one is not bulk's.
type claimKey struct{}

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
func (c *placed) CloseWrite() error { return netpoll.CloseWrite(c.Conn) }

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
		leave, err := c.takePlace(ctx)
		if err != nil {
			return nil, err
		}
		conn, err := open(ctx, network, address)
		if err != nil {
			leave()
			return nil, err
		}
		return &placed{conn, leave}, nil
	}
}

// takePlace takes one for a connection of a dial. The error is errFull.
func (c *Client) takePlace(ctx context.Context) (leave func(), err error) {
	by, ok := ctx.Value(claimKey{}).(*claim)
	if !ok {
		by = new(claim)
	}
	if by.end == nil {
		c.places.take(0)
	} else if err := c.places.await(ctx, by); err != nil {
		return nil, err
	}
	if by.held.Add(1); by.end == nil {
		c.clear(ctx, by)
	}
	return sync.OnceFunc(func() {
		by.held.Add(-1)
		c.places.leave()
	}), nil
}

// await takes a place for a dial of bulk's. Where all are taken it ends a dial that has none, so that this tries no other
// address or front; one that has waits for another meanwhile, as what it has may lead there yet.
func (p *places) await(ctx context.Context, by *claim) error {
	for !p.take(mostSeen) {
		taken, freed := p.count()
		switch {
		case taken < mostSeen:
			continue
		case by.held.Load() == 0:
			by.full.Store(true)
			by.end()
			return errFull
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return errFull
		}
	}
	return nil
}

// failedItself reports whether an attempt failed by what the front does, and not as its dial is over. One that is over for want
// of a place has failed at other addresses before, perhaps.
func failedItself(ctx context.Context, err error) bool {
	by, ok := ctx.Value(claimKey{}).(*claim)
	return ctx.Err() == nil || ok && by.full.Load() && front.SymptomOf(err) != front.Other
}

// clear ends what may end for a dial until no more places are taken than a network should see. It holds room meanwhile, so
// that nobody else ends more.
func (c *Client) clear(ctx context.Context, by *claim) {
	timer := time.NewTimer(roomWithin)
	defer timer.Stop()
	select {
	case c.places.room <- struct{}{}:
	case <-timer.C:
		return
	case <-ctx.Done():
		return
	}
	defer func() { <-c.places.room }()
	for {
		taken, freed := c.places.count()
		if taken <= mostSeen || ctx.Err() != nil || !c.endOne(by) {
			return
		}
		select {
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

// endOne ends for a dial, and reports whether there was, the carrier that has been there for longest of those in doubt, or else
// of those by which bulk is spread: a spent one first, and one that is being dialled before one that brings something, which
// does not end for the second of two addresses that are tried at once. What it took goes again by others. room is held;
// closing, which may take seconds behind a proxy, goes on without it.
func (c *Client) endOne(by *claim) bool {
	if by.ended == mostEnded {
		return false
	}
	main, all := c.pool.view().main, c.serving()
	end := func(mayEnd func(*activeCarrier) bool) bool {
		i := slices.IndexFunc(all, func(l *activeCarrier) bool { return l != main && mayEnd(l) && !l.displaced.Swap(true) })
		if i >= 0 {
			c.task(all[i].Close)
		}
		return i >= 0
	}
	was := end(func(l *activeCarrier) bool { return l.Doubted() }) ||
		end(func(l *activeCarrier) bool { return l.isBulk && l.Spent() }) ||
		c.spread.giveUp() ||
		by.held.Load() == 1 && end(func(l *activeCarrier) bool { return l.isBulk })
	if was {
		by.ended++
	}
	return was
}

// serving lists the carriers that live, those of homes that were left first: a network sees them all.
func (c *Client) serving() (all []*activeCarrier) {
	for _, h := range c.pool.allHomes() {
		all = append(all, h.serving()...)
	}
	return all
}
