package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// retry is the pause before the next dial. The first is none, so that a carrier
// that died is replaced at once.
type retry time.Duration

const (
	retryFirst   = retry(50 * time.Millisecond)
	retryWaiting = retry(2 * time.Second)        // while the app waits for us
	retryIdle    = retry(30 * time.Second)       // while nobody does
	retryWorked  = retry(100 * time.Millisecond) // after a carrier that has worked, however short
	retryLost    = retry(500 * time.Millisecond) // if functions failed then: there may be too many calls of them
	steady       = 5 * time.Second               // a carrier that lived so long was a good one
	young        = 30 * time.Second              // and one that died before was a bad one
	maxYoung     = 2                             // of those, one after the other, by a front that is not the first choice any more
)

// A dial that fails costs nothing. One that is answered, but not by the origin,
// costs whoever runs it some invocations and messages, and may last for days.
const (
	maxUnheard     = 3 // of those, one after the other, are a refusal
	refusedWaiting = 15 * retryWaiting
	refusedIdle    = 10 * retryIdle
)

// next is a random time around r, which is doubled.
func (r *retry) next(limit retry) time.Duration {
	*r = min(*r, limit)
	d := time.Duration(*r)
	*r = min(max(2**r, retryFirst), limit)
	if d == 0 {
		return 0
	}
	return d/2 + rand.N(d)
}

// pause waits before the next dial, or until gone is closed; less long if
// tunnels are waiting, and no longer once the first does.
func (c *Client) pause(ctx context.Context, r *retry, waiting bool, gone <-chan struct{}) {
	wanted := c.pool.wanted
	if waiting {
		wanted = nil
	}
	t := time.NewTimer(r.next(c.pool.longest(waiting)))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wanted:
	case <-gone:
	}
}

// longest is the longest pause.
func (p *pool) longest(waiting bool) retry {
	switch refused := p.isRefused(); {
	case refused && waiting:
		return refusedWaiting
	case refused:
		return refusedIdle
	case waiting:
		return retryWaiting
	}
	return retryIdle
}

// note is told whether something of the origin's came after what costs money.
func (p *pool) note(heard bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unheard++; heard {
		p.unheard = 0
	}
}

func (p *pool) isRefused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unheard >= maxUnheard
}

// tries are dials for something that has no carrier of its own yet, by one
// goroutine at a time. They hurry only if the last was a while ago: where they
// lead there may be nobody, or one that does not take it.
type tries struct {
	wait retry
	last time.Time
}

// next pauses before the next of t.
func (c *Client) next(t *tries) {
	if time.Since(t.last) > max(steady, 2*time.Duration(t.wait)) {
		t.wait = 0
	}
	c.pause(c.running, &t.wait, true, nil)
	t.last = time.Now()
}
