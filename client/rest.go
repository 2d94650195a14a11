package client

import (
	"context"
	"time"

	"culvert/client/kept"
	"culvert/internal/carrier"
)

// restLimit is for how long a connection to a front may rest: a CDN or a NAT may cut one, or forget
// it, after that. It is learned from two that were cut after a rest which none of them had outlived.
type restLimit struct {
	before time.Duration // the rest of the last that was cut; 0: none was
	limit  time.Duration // 0: it is not known
	silent bool          // it was noticed by a question that was not answered: the limit may be less
}

const (
	leastRest, mostRest = 6 * time.Second, time.Minute
	// restSpread is what two rests may differ by that were cut for the same reason.
	restSpread = 1500 * time.Millisecond
)

// cut learns from a carrier that ended, or was silent, after a rest.
func (r *restLimit) cut(rest time.Duration, silent bool) {
	if rest < leastRest || rest > mostRest {
		return
	}
	before := r.before
	r.before = rest
	switch {
	case r.limit > 0:
		r.limit, r.silent = min(r.limit, rest), silent
	case before > 0 && (silent || (rest-before).Abs() <= max(restSpread, rest/8)):
		r.limit, r.silent = min(rest, before), silent
	}
}

// outlived notes a rest after which an answer came.
func (r *restLimit) outlived(rest time.Duration) {
	if r.limit > 0 && rest > r.limit*3/2 {
		*r = restLimit{}
	}
}

// keep is how often to ask a carrier that is in use; 0: as usual.
func (r *restLimit) keep() time.Duration {
	if r.silent {
		return r.limit * 3 / 5
	}
	return r.limit * 3 / 4
}

func (r *restLimit) recall(k kept.Front) {
	if rest := time.Duration(k.Rest) * time.Millisecond; rest >= leastRest && rest <= mostRest {
		r.limit = rest
	}
}

// wasRest reports whether l was cut, or is silent, as it rested: it had outlived no such rest. Questions that come ever
// more rarely may have come just in time before.
func wasRest(rest, survived time.Duration) bool { return rest >= leastRest && rest > survived*21/20 }

// learnRest takes how l rested, which has ended, and has others by its front asked in time.
func (c *Client) learnRest(l *activeCarrier) {
	if l.gateway || !l.Live() {
		return
	}
	rest, survived := l.Rested(time.Now())
	wasCut := l.Cause() == carrier.Closed || l.Cause() == carrier.Cut
	c.budgets.rested(l.front, rest, survived, wasCut)
	c.keepAll(l.front)
	c.cutAtRest.Store(wasCut && wasRest(rest, survived) && c.budgets.keepEvery(l.front) > 0)
}

// awaitUse waits until somebody uses the client, if the last carrier was cut as it rested, and so would the
// next be.
func (c *Client) awaitUse(ctx context.Context) {
	if !c.cutAtRest.Swap(false) || c.table.Tunnels() > 0 {
		return
	}
	c.pool.onRest()
	select {
	case <-c.pool.wanted:
	case <-ctx.Done():
	}
	c.pool.onVacant(nil)
}

// rested notes that a carrier ended after a rest, and which one it has outlived.
func (b *budgets) rested(front int, rest, survived time.Duration, wasCut bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &b.of(front).rest
	if r.outlived(survived); wasCut && wasRest(rest, survived) {
		r.cut(rest, false)
	}
}

// keepEvery is how often a carrier by a front is to be asked; 0: as usual.
func (b *budgets) keepEvery(front int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(front).rest.keep()
}

// keepAll has the carriers by a front asked as often as it takes.
func (c *Client) keepAll(front int) {
	every := c.budgets.keepEvery(front)
	for _, h := range c.pool.allHomes() {
		for _, l := range h.serving() {
			if l.front == front && !l.gateway {
				l.KeepEvery(every)
			}
		}
	}
}
