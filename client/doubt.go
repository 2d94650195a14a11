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
		c.budgets.fellSilent(l)
		if to := l.home.workingBut(l); to != nil {
			l.home.session.Shift(l.Carrier, to.Carrier, c.spread.has)
		}
		if !c.pool.onDoubt(l) {
			l.Retire() // another takes what comes next
			c.promoteBulk(l)
		}
	})
}

// promoteBulk gives the bulk that l had, a carrier of bulk, a place apart from chat again.
func (c *Client) promoteBulk(l *activeCarrier) {
	for _, t := range l.home.session.All() {
		if at := t.Carrier(); t.IsBulk() && at != nil {
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
