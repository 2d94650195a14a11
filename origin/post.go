package origin

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"culvert/internal/relay"
)

// poster sends messages to connections of API Gateway. What is refused for a
// while it sends again, which may make a message arrive twice.
type poster struct {
	api     *management
	metrics *metrics
	log     *slog.Logger
	warned  [answers]atomic.Int64 // when a line was last logged, Unix ns
	hanging chan struct{}         // holds one for each connection being closed
	waiting *relay.Kept           // texts, in bytes
}

// pace is what the posts of one connection have in common.
type pace struct {
	began time.Time
	alone chan struct{} // held by the one post that is being repeated
}

func newPace(now time.Time) *pace { return &pace{began: now, alone: make(chan struct{}, 1)} }

const (
	// openWithin is how long after its first message a connection may be unknown
	// to @connections: 200 ms were seen.
	openWithin = time.Second
	// throttledFor and failingFor are how long a post is repeated: a client on a
	// slow link, which takes half a minute for a message at 4 kB/s, fills API
	// Gateway's buffer, and a fault of AWS passes soon.
	throttledFor = time.Minute
	failingFor   = 10 * time.Second
	// The time between two posts of a message doubles from the one to the other.
	firstRepeat = 50 * time.Millisecond
	lastRepeat  = 2 * time.Second
	// warnEvery bounds how often the log says the same.
	warnEvery = time.Minute
)

// errPost ends a carrier. The log and the metrics have the reason.
var errPost = errors.New("API Gateway does not take it")

func newPoster(cfg Gateway, m *metrics, log *slog.Logger, waiting *relay.Kept) *poster {
	return &poster{api: newManagement(cfg), metrics: m, log: log, hanging: make(chan struct{}, maxHanging), waiting: waiting}
}

// to posts to c and returns when API Gateway has the message, or never will.
func (p *poster) to(c *connection) func(context.Context, []byte) error {
	return func(ctx context.Context, text []byte) error {
		p.metrics.posting.Inc()
		defer p.metrics.posting.Dec()
		size := int64(cap(text)) // of a buffer for the largest, as a rule
		defer p.waiting.Add(c.user, -size)
		if p.waiting.Add(c.user, size) < 0 {
			return p.conclude(ctx, c, overloaded)
		}
		a := p.api.post(ctx, c.id, text)
		if a.mayPass() {
			a = p.repeat(ctx, c, text, a)
		}
		return p.conclude(ctx, c, a)
	}
}

// repeat posts text until it is taken, refused for good, or time is over. One
// post of a connection is repeated at a time, so that few are under way while
// API Gateway wants fewer.
func (p *poster) repeat(ctx context.Context, c *connection, text []byte, a answer) answer {
	select {
	case c.pace.alone <- struct{}{}:
		defer func() { <-c.pace.alone }()
	case <-ctx.Done():
		return a
	}
	since := time.Now()
	for wait := firstRepeat; a.mayPass(); wait = min(2*wait, lastRepeat) {
		left := time.Until(c.pace.until(a, since))
		if left <= 0 || !sleep(ctx, min(wait/2+rand.N(wait/2), left)) {
			break
		}
		p.metrics.repeats.WithLabelValues(a.String()).Inc()
		a = p.api.post(ctx, c.id, text)
	}
	return a
}

// until is how long a post that was answered a is repeated.
func (p *pace) until(a answer, since time.Time) time.Time {
	switch a {
	case gone:
		return p.began.Add(openWithin)
	case throttled:
		return since.Add(throttledFor)
	}
	return since.Add(failingFor)
}

// sleep returns false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *poster) conclude(ctx context.Context, c *connection, a answer) error {
	if a != taken && ctx.Err() != nil { // the carrier has ended
		a = abandoned
	}
	p.metrics.posts.WithLabelValues(a.String()).Inc()
	if a == taken {
		return nil
	}
	p.warn(a)
	return errPost
}

// warn logs what an operator can do something about, now and then.
func (p *poster) warn(a answer) {
	advice, now, last := a.advice(), time.Now().UnixNano(), p.warned[a].Load()
	if advice == "" || now-last < int64(warnEvery) || !p.warned[a].CompareAndSwap(last, now) {
		return
	}
	p.log.Error("cannot post to API Gateway", "answer", a.String(), "try", advice)
}

const (
	// maxHanging bounds connections being closed at once, and hangFor how long
	// one may take: one that stays open is found out by its client's next message.
	maxHanging = 64
	hangFor    = 3 * time.Second
)

// hangUp has API Gateway close a connection, if that is quick.
func (p *poster) hangUp(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), hangFor)
	defer cancel()
	select {
	case p.hanging <- struct{}{}:
		defer func() { <-p.hanging }()
	case <-ctx.Done():
		return
	}
	for wait := firstRepeat; ; wait *= 2 {
		a := p.api.delete(ctx, id)
		if a != throttled && a != failed || !sleep(ctx, wait) {
			return
		}
	}
}
