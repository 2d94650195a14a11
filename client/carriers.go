package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"culvert/client/front"
	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/transport"
	"culvert/internal/tunnel"
)

// originRef is one origin, as the client knows it: by the ticket that leads back
// to it, whichever front a carrier takes. It is the OriginRef of carriers.
type originRef struct {
	tries tries // of the goroutine that fetches

	mu     sync.Mutex // guards the following
	ticket string     // the newest; empty: it gave none, as there is no other
	sought bool       // its tunnels are being fetched
}

func (o *originRef) read() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ticket
}

func (o *originRef) learn(ticket string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ticket = ticket
}

// seek reports whether the caller is the one to fetch o's tunnels, which found
// must follow.
func (o *originRef) seek() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := !o.sought
	o.sought = true
	return first
}

func (o *originRef) found() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sought = false
}

// activeCarrier is a carrier that is being served.
type activeCarrier struct {
	*carrier.Carrier
	front   int       // by which it was reached
	gateway bool      // it is one of the gateway door
	began   time.Time // when it was dialled
	until   time.Time // when it is to be replaced, if gateway; for one of bulk, pool.mu guards it
	ended   bool      // it has ended; guarded by pool.mu
	why     error     // the reason of its end; guarded by pool.mu until the pool is lost
}

// wasLost reports whether the carrier died because messages were lost: functions
// failed.
func (l *activeCarrier) wasLost() bool { return errors.Is(l.why, transport.ErrLost) }

// API Gateway ends a connection after two hours. A random time before that
// keeps a household's carriers from being renewed all at once.
const (
	gatewayLife = 95 * time.Minute
	gatewayMore = 15 * time.Minute
	renewRetry  = time.Minute
	renewLimit  = 30 * time.Second // for the search for a successor
)

func anyFront(link.Front) bool      { return true }
func streamFront(f link.Front) bool { return !f.Gateway }

// dial makes a carrier to o by the first front that answers, of those that may
// be taken, and serves it. It is called by keepMain or a task, so that Run waits
// for what it starts.
func (c *Client) dial(ctx context.Context, o *originRef, may func(link.Front) bool) (*activeCarrier, error) {
	sock, at, err := c.reach(ctx, o, may)
	if err != nil {
		if wasAnswered(err) {
			c.health.answered(false)
		}
		return nil, err
	}
	c.health.reached(at)
	l := &activeCarrier{Carrier: c.table.NewCarrier(sock, 0), front: at, began: time.Now()}
	l.OriginRef = o
	if l.gateway = c.cfg.Link.Fronts[at].Gateway; l.gateway {
		l.until = time.Now().Add(gatewayLife + rand.N(gatewayMore))
	}
	c.table.SendClosures(l.Carrier)
	l.Ping()
	c.tasks.Go(func() { c.serve(l) })
	return l, nil
}

// serve carries frames until l ends, then finds its tunnels another carrier.
func (c *Client) serve(l *activeCarrier) {
	why := l.Serve()
	if l.gateway {
		c.health.answered(l.Heard())
	}
	c.cfg.Log.Debug("carrier ended", "reason", front.Plainly(why))
	c.pool.onDeath(l, why)
	c.adoptOrphans()
}

// tries are dials for something that has no carrier of its own yet, by one
// goroutine at a time. They hurry only if the last was a while ago: where they
// lead there may be nobody, or one that does not take it.
type tries struct {
	wait dial.Backoff
	last time.Time
}

// next pauses before the next of t.
func (c *Client) next(t *tries) {
	t.wait.First = retryFirst
	if time.Since(t.last) > max(stable, 2*t.wait.Next) {
		t.wait.Next = 0
	}
	c.pause(c.running, &t.wait, true, nil)
	t.last = time.Now()
}

// renewAfter is how often to ask for main's successor.
func (c *Client) renewAfter(main *activeCarrier) time.Duration {
	switch {
	case !main.gateway:
		return 1 << 62 // never
	case slices.ContainsFunc(c.cfg.Link.Fronts, streamFront):
		return backToStream
	}
	return renewRetry
}

// renew makes main's successor, through the stream door unless time is over, and
// moves its tunnels there while bytes flow. It returns nil if main is to stay, or
// if over was closed: tunnels wait when main has ended, so the search does not.
func (c *Client) renew(ctx context.Context, main *activeCarrier, over <-chan struct{}) *activeCarrier {
	may, now := streamFront, time.Now()
	switch {
	case now.After(main.until):
		may = anyFront
	case now.Before(c.health.streamAt()):
		return nil
	}
	next, err := c.dialUntil(ctx, over, main.OriginRef.(*originRef), may)
	if err != nil {
		return nil
	}
	c.migrate(main, next)
	if !next.gateway {
		c.pool.renewBulkAt(now)
	}
	return next
}

// dialUntil dials until over is closed, or renewLimit has passed.
func (c *Client) dialUntil(ctx context.Context, over <-chan struct{}, o *originRef, may func(link.Front) bool) (*activeCarrier, error) {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	var guard sync.WaitGroup
	defer guard.Wait()
	defer cancel()
	guard.Go(func() {
		select {
		case <-over:
			cancel()
		case <-ctx.Done():
		}
	})
	return c.dial(ctx, o, may)
}

// adoptOrphans attaches the tunnels without a carrier to the main one, or has
// them fetched if another origin holds them.
func (c *Client) adoptOrphans() {
	main := c.pool.view().main
	for _, t := range c.table.Orphans() {
		o, _ := t.OriginRef().(*originRef)
		switch {
		case c.isElsewhere(o):
			c.fetch(o)
		case main != nil && (o != nil || !main.Draining()): // an origin that drains takes no new ones
			t.Attach(main.Carrier, true)
			if t.IsBulk() {
				c.promote(t)
			}
		}
	}
}

// isElsewhere reports whether o is an origin that new tunnels do not go to, and
// to which a ticket leads.
func (c *Client) isElsewhere(o *originRef) bool {
	return o != nil && o != c.pool.originNow() && o.read() != ""
}

// fetch makes a carrier to o for the tunnels that it holds, as it drains and
// new ones go elsewhere.
func (c *Client) fetch(o *originRef) {
	if !o.seek() {
		return
	}
	c.task(func() {
		for again := true; again; {
			c.fetchAll(o)
			o.found()
			again = c.running.Err() == nil && c.isWanted(o) && o.seek() // that carrier has died meanwhile
		}
	})
}

func (c *Client) fetchAll(o *originRef) {
	for c.running.Err() == nil && c.isWanted(o) {
		c.next(&o.tries)
		ctx, cancel := context.WithTimeout(c.running, renewLimit)
		l, err := c.dial(ctx, o, anyFront)
		cancel()
		if err != nil {
			continue
		}
		for _, t := range c.orphansOf(o) {
			t.Attach(l.Carrier, true)
		}
		l.Retire()
	}
}

// isWanted reports whether a carrier to o is: for tunnels, or to tell how some
// ended.
func (c *Client) isWanted(o *originRef) bool {
	return len(c.orphansOf(o)) > 0 || slices.Contains(c.table.PendingClosures(), any(o))
}

// sendClosures has every origin know how tunnels of its ended whose carriers died
// with the news.
func (c *Client) sendClosures() {
	main := c.pool.view().main
	for _, of := range c.table.PendingClosures() {
		o, _ := of.(*originRef)
		switch {
		case c.isElsewhere(o):
			c.fetch(o)
		case main != nil && !main.Dead():
			c.table.SendClosures(main.Carrier)
		}
	}
}

func (c *Client) orphansOf(o *originRef) []*tunnel.Tunnel {
	return slices.DeleteFunc(c.table.Orphans(), func(t *tunnel.Tunnel) bool { return t.OriginRef() != any(o) })
}
