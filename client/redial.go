package client

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/dial"
)

// redials holds back dials by fronts whose connections do not last, whoever dials: the main
// carrier, bulk, or tunnels of another origin. Many connections a minute to one name are what a
// network notices first, and what a front in trouble needs least. One that was good is dialled again
// at once when it loses its carriers, and after that no more than once in each pause, which grows.
type redials struct {
	mu     sync.Mutex // guards the following
	fronts map[int]*redial
}

// redial is how it stands with one front.
type redial struct {
	failures int       // dials that failed, and carriers that did not last, one after the other
	failed   time.Time // when the last of them did
	opened   time.Time // when it last opened a connection
	tried    time.Time // when the last dial began
	from     time.Time // no dial begins before, while there are failures
}

const (
	// redialPause is between the beginnings of two dials by a front that fails, at least. It grows by
	// redialStep with each failure, maxRedialSteps times: whoever waits for the end of the trouble
	// waits no longer than that.
	redialPause    = 2 * time.Second
	redialStep     = time.Second
	maxRedialSteps = 1
	// calmAfter is how long a connection lasts that shows that a front is good again, and calmBytes
	// what it brings, else.
	calmAfter = 2 * time.Second
	calmBytes = 256 << 10
	// admitLook is how often a dial that is held back is looked at.
	admitLook = 200 * time.Millisecond
	// forgetAfter is how long without a failure lets a pause grow anew.
	forgetAfter = 15 * time.Second
)

// of is that of a front. mu is held.
func (r *redials) of(front int) *redial {
	if r.fronts == nil {
		r.fronts = map[int]*redial{}
	}
	if r.fronts[front] == nil {
		r.fronts[front] = &redial{}
	}
	f := r.fronts[front]
	switch {
	case f.opened.After(f.failed) && time.Since(f.opened) > calmAfter:
		f.failures, f.from = 0, time.Time{}
	case time.Since(f.failed) > forgetAfter:
		f.failures = min(f.failures, 1)
	}
	return f
}

// pause is how long after a dial the next may begin: a third of it is chance.
func (f *redial) pause() time.Duration {
	d := redialPause + redialStep*time.Duration(min(f.failures-1, maxRedialSteps))
	return d + rand.N(d/3)
}

// take begins a dial by a front, or says how long to wait before.
func (r *redials) take(front int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, now := r.of(front), time.Now()
	if wait := f.from.Sub(now); f.failures > 0 && wait > 0 {
		return wait
	}
	if f.tried = now; f.failures > 0 {
		f.from = now.Add(f.pause())
	}
	return 0
}

// admit waits until a dial by a front may begin.
func (r *redials) admit(ctx context.Context, front int) error {
	for {
		wait := r.take(front)
		if wait <= 0 {
			return nil
		}
		if !dial.Sleep(ctx, min(wait, admitLook)) { // the front may turn out to be good meanwhile
			return ctx.Err()
		}
	}
}

// wait is how long a dial by a front would have to wait now.
func (r *redials) wait(front int) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.of(front); f.failures > 0 {
		return max(time.Until(f.from), 0)
	}
	return 0
}

// isCalm reports whether a front does not fail, as far as is known, and none has of late.
func (r *redials) isCalm(front int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.fronts {
		if time.Since(f.failed) < calmAfter {
			return false
		}
	}
	return r.of(front).failures == 0
}

// opened notes that a front has opened a connection.
func (r *redials) opened(front int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(front).opened = time.Now()
}

// failed notes that a dial failed that began at a time.
func (r *redials) failed(front int, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of(front).fail(began)
}

// ended notes that a carrier has ended. Several that are lost at once are one failure, as none of
// them was dialled after another had failed.
func (r *redials) ended(l *activeCarrier) {
	switch l.Cause() {
	case carrier.EndedHere, carrier.Silent, carrier.Elsewhere:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.of(l.front)
	if time.Since(l.began) > calmAfter || l.Passed() > calmBytes {
		f.failures, f.failed, f.from = 0, time.Now(), time.Time{}
		return
	}
	f.fail(l.began)
}

// fail counts a failure of what began at a time.
func (f *redial) fail(began time.Time) {
	if !began.After(f.failed) {
		return
	}
	f.failed = time.Now()
	f.failures++
	if f.failures > 1 && f.from.Before(f.tried.Add(redialPause)) {
		f.from = f.tried.Add(f.pause())
	}
}

// isCalm reports whether the front that would be tried first does not fail. Until then bulk goes by
// what there is, and leaves dials to chat.
func (c *Client) isCalm() bool {
	fronts := c.frontsToTry(anyFront)
	return len(fronts) > 0 && c.redials.isCalm(fronts[0])
}

// awaitCalm waits until it is so, or ctx ends.
func (c *Client) awaitCalm(ctx context.Context) {
	for !c.isCalm() && dial.Sleep(ctx, calmAfter/8+rand.N(calmAfter/8)) {
	}
}
