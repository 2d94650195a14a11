package client

import (
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/dial"
)

// Pauses before the next dial, at their longest: a Backoff takes three quarters of
// one on average. The first is none, so that a carrier that died is replaced at once, but for a
// chance of about as long as a dial takes: an edge that ends ends the carriers of all its clients.
const (
	retryFirst   = 50 * time.Millisecond
	retryWaiting = 2667 * time.Millisecond // 2 s on average, while the app waits for us
	retryIdle    = 40 * time.Second        // 30 s, while nobody does
	retryWorked  = 133 * time.Millisecond  // 100 ms, after a carrier that has worked, however short
	retryLost    = 667 * time.Millisecond  // 500 ms, if functions failed then: there may be too many calls of them
	retryDrained = 1333 * time.Millisecond // 1 s, after origins that drain, one after another

	redialTrips  = 4                      // round trips that a dial takes
	redialChance = 200 * time.Millisecond // no more than that is left to chance
)

// A dial that fails costs nothing. One that is answered, but not by the origin,
// costs whoever runs it some invocations and messages, and may last for days.
const (
	maxUnanswered  = 3                 // answers without proof of the origin, one after the other, are a refusal
	refusedWaiting = 40 * time.Second  // 30 s on average, while the app waits for us
	refusedIdle    = 400 * time.Second // 5 minutes, while nobody does
)

// What the life of a carrier says of its front.
const (
	stable        = 5 * time.Second  // a carrier that lived so long shows that dialling works
	shortLived    = 30 * time.Second // a carrier that died before was cut, or froze
	maxShortLived = 2                // so many short-lived carriers, one after the other, turn us to the next front
	backToStream  = 5 * time.Minute  // how often to try the stream door: the gateway door is slower and dearer
	maxDoublings  = 4                // backToStream doubles so often while carriers of the stream door go on being short-lived
)

// Head starts of a front before the next is tried as well, which shows whoever watches
// two names at once: the first one when a front has not answered yet, which is what a
// round trip of 600 ms makes of five of them; then twice what its answers took, within
// bounds. A lost packet costs a second of its own.
const (
	headStartFirst = 3 * time.Second
	headStartLeast = 1500 * time.Millisecond
	headStartMost  = 6 * time.Second
)

// frontHealth says how well the fronts of a link do: which is to be tried first,
// whether the stream door is worth going back to, and whether somebody answers
// who does not let us in. All goroutines of a client may use it.
type frontHealth struct {
	after func(front int) int // the one after a front, in the order in which to try them
	hurry atomic.Int32        // how many carriers in doubt are being replaced

	mu         sync.Mutex            // guards the following
	best       int                   // the front to be tried first
	led        bool                  // it, or one before it, has led to an origin
	shortFront int                   // the front of the last carrier that was short-lived
	died       int                   // how many carriers of shortFront were short-lived, one after the other
	streamFrom time.Time             // when the stream door may be tried again
	took       map[int]time.Duration // what the answers of a front took, those before the last by less and less
	unanswered int                   // answers and carriers of the gateway door, one after the other, that brought no proof of the origin
}

// first is the front to be tried first.
func (h *frontHealth) first() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.best
}

// reached notes that a front led to an origin.
func (h *frontHealth) reached(front int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.best, h.led = front, true
}

// prefer has a front be tried first, of which nothing is known yet.
func (h *frontHealth) prefer(front int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.best, h.led = front, false
}

// good is the front to be tried first, if any has led to an origin in this network.
func (h *frontHealth) good() (front int, led bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.best, h.led
}

// begin forgets how fronts did in another network, and has best be tried first.
func (h *frontHealth) begin(best int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.best, h.led, h.died, h.streamFrom, h.took = best, false, 0, time.Time{}, nil
}

// headStart is how long a front is tried before the next is, too.
func (h *frontHealth) headStart(front int) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	took, known := h.took[front]
	switch {
	case h.hurry.Load() > 0:
		return hurryStart
	case !known:
		return headStartFirst
	}
	return min(max(2*took, headStartLeast), headStartMost)
}

// answeredIn notes how long it took a front to open a socket.
func (h *frontHealth) answeredIn(front int, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, known := h.took[front]
	if !known {
		before = d
	}
	if h.took == nil {
		h.took = make(map[int]time.Duration)
	}
	h.took[front] = before + (d-before)/4
}

// pass makes the front after another the first to be tried.
func (h *frontHealth) pass(front int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.best = h.after(front)
}

// carrierDied learns from the end of a main carrier. After some short-lived ones
// the next front is tried first, as some are cut or frozen once they carry
// something; and if they were of the stream door, it is left alone for a while.
func (h *frontHealth) carrierDied(front int, gateway bool, lived time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	short := lived < shortLived
	if !short || h.shortFront != front {
		h.died, h.streamFrom = 0, time.Time{}
	}
	if !short {
		return
	}
	h.shortFront = front
	if h.died++; h.died < maxShortLived {
		return
	}
	if !gateway {
		h.streamFrom = time.Now().Add(backToStream << min(h.died-maxShortLived, maxDoublings))
	}
	if h.best == front {
		h.best = h.after(front)
	}
}

// streamAt is when the stream door may be tried again.
func (h *frontHealth) streamAt() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.streamFrom
}

// answered is told whether the origin has proved itself after what costs money.
func (h *frontHealth) answered(proved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unanswered++; proved {
		h.unanswered = 0
	}
}

// refused reports whether fronts answer and no origin does, as happens to
// somebody whose link is revoked.
func (h *frontHealth) refused() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.unanswered >= maxUnanswered
}

// longestPause is that between two dials, while tunnels wait or none does.
func (h *frontHealth) longestPause(waiting bool) time.Duration {
	switch refused := h.refused(); {
	case refused && waiting:
		return refusedWaiting
	case refused:
		return refusedIdle
	case waiting:
		return retryWaiting
	}
	return retryIdle
}

// chanceAfter is what chance adds before l is replaced at once.
func (h *frontHealth) chanceAfter(l *activeCarrier) time.Duration {
	h.mu.Lock()
	took, known := h.took[l.front]
	h.mu.Unlock()
	switch trip := l.RTT(); {
	case trip > 0:
		return min(redialTrips*trip, redialChance)
	case known:
		return min(took, redialChance)
	}
	return redialChance
}

// pauseAfter has the pause before the next dial fit how the last carrier did.
func (h *frontHealth) pauseAfter(l *activeCarrier, wait *dial.Backoff) {
	wait.Chance = h.chanceAfter(l)
	switch {
	case !l.Live():
	case time.Since(l.began) > stable:
		wait.Next = 0
	case l.wasLost():
		wait.Next = min(wait.Next, retryLost)
	default:
		wait.Next = min(wait.Next, retryWorked)
	}
}
