package client

import (
	"context"
	"time"

	"culvert/internal/dial"
)

// use is how fast main carriers with budgets are spent. pool.mu guards it.
type use struct {
	since time.Time     // when the main carrier became that
	lived time.Duration // how long the one before lasted; 0: it was not spent
}

// chatLasts is how long a main carrier lasts, at the pace at which this one, or the one before, is spent; 0: it
// is not known.
func (p *pool) chatLasts(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	lasts := p.use.lived
	if p.main != nil {
		spent, all := p.main.Budget()
		if age := now.Sub(p.use.since); spent > all/8 && age > 0 {
			projected := time.Duration(float64(age) * float64(all) / float64(spent))
			if lasts == 0 || projected < lasts {
				lasts = projected
			}
		}
	}
	return lasts
}

// usesOf is how many connections a minute chat takes, of which each lasts so long.
func usesOf(lasts time.Duration) int {
	if lasts == 0 {
		return 0
	}
	return int((time.Minute + lasts - 1) / lasts)
}

// succeed makes the successor of main, whose budget ends, and returns it once main is spent, or is
// no good any more. nil: it does not come, or has ended before.
func (c *Client) succeed(ctx context.Context, main *activeCarrier, wait *dial.Backoff) *activeCarrier {
	if !c.awaitRoom(ctx, main) {
		return nil
	}
	next, err := c.dialUntil(ctx, nil, main.home, anyFront) // it is of use whatever happens to main
	if err != nil {
		c.pause(ctx, wait, true, c.pool.view().changed)
		return nil
	}
	next.StandBy(true)
	defer next.StandBy(false)
	for now := c.pool.view(); now.state == spending && !main.Spent(); now = c.pool.view() {
		select {
		case <-now.changed:
		case <-time.After(standbyLook):
		case <-ctx.Done():
			return nil
		}
		if next.Dead() || next.Doubted() {
			next.Retire()
			c.pause(ctx, wait, true, c.pool.view().changed)
			return nil
		}
	}
	c.pool.spent(main)
	if main.Doubted() {
		main.home.session.Shift(main.Carrier, next.Carrier, c.spread.has)
	}
	c.migrate(main, next)
	if main.Spent() {
		c.task(func() { c.part(main) })
	}
	return next
}

// standbyLook is how often a carrier that stands by is looked at.
const standbyLook = 500 * time.Millisecond

// awaitRoom waits until main has to be replaced and a front may open a connection, and reports
// whether main still is there.
func (c *Client) awaitRoom(ctx context.Context, main *activeCarrier) bool {
	for !main.Spent() {
		now := c.pool.view()
		if now.state != spending {
			return false
		}
		if left, _, areCounted := c.budgets.connections(c.streamFronts(), false); !areCounted || left > 0 {
			return true
		}
		select {
		case <-now.changed:
		case <-time.After(standbyLook):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// spent notes how long a main carrier has lasted whose successor takes over.
func (p *pool) spent(main *activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main == main && main.Spent() {
		p.use.lived = time.Since(p.use.since)
	}
}
