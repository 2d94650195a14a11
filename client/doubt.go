package client

import (
	"context"
	"time"

	"culvert/client/front"
	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/wire"
)

// onDoubted takes the tunnels of a carrier that may have died elsewhere. It may answer yet: it is
// closed when nothing has come for long, as any.
func (c *Client) onDoubted(in *carrier.Carrier) {
	c.task(func() {
		l := c.pool.activeOf(in)
		if l == nil {
			return
		}
		c.cfg.Log.Debug("carrier in doubt", "front", l.front+1, "brought", l.total())
		if !l.home.hasPassedMore(l) {
			c.budgets.fellSilent(l)
		}
		to := c.insteadOf(l)
		if to != nil {
			l.home.session.Shift(l.Carrier, to.Carrier, c.spread.has)
		}
		if !c.pool.onDoubt(l) {
			l.Retire() // another takes what comes next
			if to != nil {
				c.promoteBulk(to)
			}
		}
	})
}

// insteadOf is a carrier that takes the tunnels of l, which is in doubt; nil: the next main
// carrier does.
func (c *Client) insteadOf(l *activeCarrier) *activeCarrier {
	if to := l.home.workingBut(l); to != nil {
		return to
	}
	main := c.pool.view().main
	if main == nil || main == l || main.home != l.home || main.Dead() || main.Doubted() {
		return nil
	}
	return main
}

// rescue has the tunnels of main's home that go by carriers in doubt go by main.
func (c *Client) rescue(main *activeCarrier) {
	if main.Dead() || main.Doubted() {
		return
	}
	for _, t := range main.home.session.All() {
		if at := t.Carrier(); at == nil || at == main.Carrier || !at.Doubted() || c.spread.has(t) {
			continue
		}
		t.Flee(main.Carrier)
		if t.IsBulk() {
			c.promote(t)
		}
	}
}

// promoteBulk gives the bulk that has come to l from a carrier in doubt a place apart from chat again.
func (c *Client) promoteBulk(l *activeCarrier) {
	for _, t := range l.home.session.All() {
		if t.IsBulk() && t.Carrier() == l.Carrier {
			c.promote(t)
		}
	}
}

// replace makes a successor of main, which is in doubt, by whichever front answers first. nil: it
// does not come, or main answers again.
func (c *Client) replace(ctx context.Context, main *activeCarrier, wait *dial.Backoff) *activeCarrier {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	defer cancel()
	c.health.carrierDied(main.front, main.gateway, time.Since(main.began))
	c.health.hurry.Add(1)
	next, err := c.dial(ctx, main.home, func(link.Front) bool { return true })
	c.health.hurry.Add(-1)
	if err != nil {
		c.cfg.Log.Debug("no carrier instead of one that is silent", "reason", front.Plainly(err))
		c.pause(ctx, wait, c.hasWaiting(), nil)
		return nil
	}
	if c.areTight() {
		c.spreadBulk(main.home)
	}
	main.home.session.Shift(main.Carrier, next.Carrier, c.spread.has)
	c.migrate(main, next)
	if at := main.home.workingBut(next); at != nil {
		c.returnChat(at, next)
	}
	c.promoteBulk(next)
	return next
}

// spreadBulk has bulk, and what may become that, leave chat's carriers alone, since those bring little.
func (c *Client) spreadBulk(h *home) {
	for _, t := range h.session.All() {
		if t.IsBulk() || t.Service.Kind == wire.Media {
			c.spread.add(c, t)
		}
	}
}

// returnChat has chat go by next that went by a carrier of bulk meanwhile.
func (c *Client) returnChat(from, next *activeCarrier) {
	for _, t := range from.home.session.All() {
		if t.Carrier() == from.Carrier && !t.IsBulk() {
			t.Attach(next.Carrier, false)
		}
	}
}

// hurryStart is the head start of a front while a carrier is in doubt: one new connection by
// each front at most.
const hurryStart = 500 * time.Millisecond

// isDoubted reports whether there are carriers in doubt by a front, and none that was heard of late.
func (p *pool) isDoubted(front int) (is bool) {
	for _, h := range p.allHomes() {
		for _, l := range h.serving() {
			switch {
			case l.front != front:
			case l.Doubted():
				is = true
			case l.Quiet(time.Now()) < heardOfLate:
				return false
			}
		}
	}
	return is
}

// heardOfLate is within what time a carrier has brought something that lives beyond doubt.
const heardOfLate = time.Second / 2
