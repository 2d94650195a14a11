package client

import (
	"context"
	"time"

	"culvert/internal/dial"
	"culvert/internal/tunnel"
)

const (
	// maxBulk is how many carriers bulk tunnels share beside the main one. Two
	// keep two cores busy; with more, chat waits behind more of them on a slow
	// link.
	maxBulk = 2

	bulkIdle = 30 * time.Second // a carrier of bulk tunnels is kept so long without any
	// growTrips is for how many round trips a carrier is young at most, and growLeast how long one
	// of them takes at least.
	growTrips = 12
	growLeast = 20 * time.Millisecond
	// bulkSoon is the age of a tunnel that has become bulk as fast as only a fast path allows.
	bulkSoon = 5 * time.Second

	bulkDial = 20 * time.Second // such a carrier is dialled so long; the tunnel goes on meanwhile
)

// bulkSlot is a place for a carrier of bulk tunnels.
type bulkSlot struct {
	dialing chan struct{} // has room for one: one dial at a time
	tries   tries         // of who dials

	// pool.mu guards the following.
	carrier *activeCarrier
	coming  int       // tunnels that are about to be attached
	idle    time.Time // since when it has had none
}

// promote has a task give a tunnel that proved to be bulk a place apart from
// chat.
func (c *Client) promote(t *tunnel.Tunnel) {
	c.task(func() {
		h := c.pool.current()
		if isStaying(t, h) {
			return
		}
		if c.areTight() {
			c.spread.add(c, t)
			return
		}
		s := c.pool.chooseSlot()
		l := c.fill(s, h)
		if l != nil && !isStaying(t, h) {
			c.takeOver(t, l)
		}
		c.pool.mu.Lock()
		s.coming--
		c.pool.mu.Unlock()
	})
}

// takeOver has t go by l alone. While l is young the carrier that t has takes a part of the stream:
// l's TCP has its slow start to come. Where the path is slow that takes no time, and chat would wait
// behind what t's carrier takes.
func (c *Client) takeOver(t *tunnel.Tunnel, l *activeCarrier) {
	isFast := t.Age() < bulkSoon && !l.gateway
	if at := t.Carrier(); isFast && at != nil && !at.Dead() && !at.Profile().Messages {
		t.Add(l.Carrier)
		c.grow(t, l, max(at.RTT(), growLeast))
	}
	if l.isGood() { // else the tunnel has left it meanwhile
		t.Attach(l.Carrier, false)
	}
}

// grow waits until l carries so large a part of t that it may soon carry all: what may be in flight by
// a young carrier is three times what it has carried, roughly.
func (c *Client) grow(t *tunnel.Tunnel, l *activeCarrier, trip time.Duration) {
	begun, before := l.Moved(), t.Moved()
	for range growTrips {
		if !dial.Sleep(c.running, trip) {
			return
		}
		all := t.Moved()
		if 3*(l.Moved()-begun) >= all-before {
			return
		}
		before = all
	}
}

// isGood reports whether a tunnel may go by l from now on.
func (l *activeCarrier) isGood() bool { return !l.Dead() && !l.Draining() && !l.Doubted() }

// isStaying reports whether a tunnel stays where it is: its origin is not h, or
// is draining.
func isStaying(t *tunnel.Tunnel, h *home) bool {
	at := t.Carrier()
	return t.Session() != h.session || at != nil && at.Draining()
}

// chooseSlot picks the slot with the fewest tunnels, and counts one that comes.
func (p *pool) chooseSlot() *bulkSlot {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := &p.bulk[0]
	for i := range p.bulk {
		if s := &p.bulk[i]; s.load() < best.load() {
			best = s
		}
	}
	best.coming++
	return best
}

func (s *bulkSlot) load() int {
	n := s.coming
	if s.carrier != nil && !s.carrier.Dead() {
		n += s.carrier.Load()
	}
	return n
}

// fill returns the slot's carrier to h and makes it if there is none.
func (c *Client) fill(s *bulkSlot, h *home) *activeCarrier {
	s.dialing <- struct{}{} // no lock: this may wait for the network
	defer func() { <-s.dialing }()
	c.pool.mu.Lock()
	l := s.carrier
	c.pool.mu.Unlock()
	if l != nil && l.home == h && l.isGood() {
		return l
	}
	if l != nil && l.Live() && !l.gateway { // it worked, and another costs nothing
		s.tries.wait.Next, s.tries.wait.Chance = 0, c.health.chanceAfter(l)
	}
	c.next(&s.tries)
	ctx, cancel := context.WithTimeout(c.running, bulkDial)
	defer cancel()
	if l == nil || l.Passed() < calmBytes { // else the front has shown that it works
		c.awaitCalm(ctx)
	}
	l, err := c.dial(ctx, h, anyFront)
	if err != nil {
		return nil
	}
	tunnel.Unseal(l.Carrier)
	c.pool.mu.Lock()
	s.carrier, s.idle = l, time.Now()
	c.pool.mu.Unlock()
	return l
}

// endIdleBulk ends the carriers that have been without tunnels for a while.
func (p *pool) endIdleBulk(now time.Time) {
	for _, l := range p.takeIdleBulk(now) {
		l.Close()
	}
}

func (p *pool) takeIdleBulk(now time.Time) (all []*activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.bulk {
		s := &p.bulk[i]
		switch {
		case s.carrier == nil || s.load() > 0:
			s.idle = now
		case now.Sub(s.idle) > bulkIdle:
			all = append(all, s.carrier)
			s.carrier = nil
		}
	}
	return all
}

// renewBulkAt has bulk follow main to the stream door.
func (p *pool) renewBulkAt(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.bulk {
		if l := p.bulk[i].carrier; l != nil && l.gateway {
			l.until = at
		}
	}
}

// renewBulk replaces the carriers of bulk tunnels before API Gateway cuts them
// off, and those that TLS alone has sealed for long.
func (c *Client) renewBulk(now time.Time) {
	for i := range c.pool.bulk {
		s := &c.pool.bulk[i]
		old := c.pool.takeDue(s, now)
		if old == nil {
			continue
		}
		c.task(func() {
			if next := c.fill(s, old.home); next != nil {
				c.migrate(old, next)
			} else {
				c.pool.putBack(s, old)
			}
		})
	}
}

// takeDue takes a slot's carrier out if it is to be replaced.
func (p *pool) takeDue(s *bulkSlot, now time.Time) *activeCarrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := s.carrier
	if old == nil || !old.gateway && !tunnel.IsStale(old.Carrier, now) || now.Before(old.until) || old.Draining() || old.home != p.home {
		return nil
	}
	s.carrier = nil
	return old
}

// putBack keeps old, as no other was to be had, to be renewed a little later.
func (p *pool) putBack(s *bulkSlot, old *activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old.until = time.Now().Add(renewRetry)
	if s.carrier == nil {
		s.carrier = old
	}
}
