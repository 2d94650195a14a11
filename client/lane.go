package client

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/relay"
)

// home is one origin, as the client knows it: by the ticket that leads back to
// it, whichever front a carrier takes.
type home struct {
	mu     sync.Mutex // guards the following
	ticket string     // the newest; empty: it gave none, as there is no other
	sought bool       // its tunnels are being fetched

	tries tries // of the goroutine that fetches
}

func (h *home) read() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ticket
}

func (h *home) learn(ticket string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ticket = ticket
}

// seek reports whether the caller is the one to fetch h's tunnels, which found
// must follow.
func (h *home) seek() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := !h.sought
	h.sought = true
	return first
}

func (h *home) found() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sought = false
}

func (p *pool) homeNow() *home {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.home
}

// leaveHome makes the next front the first to be tried, and the origin that is
// found there the home of new tunnels.
func (p *pool) leaveHome(front int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prefer, p.home = front, &home{}
}

// lane is a carrier that is being served.
type lane struct {
	*relay.Carrier
	front int           // by which it was reached
	until time.Time     // when it is to be replaced; zero: when it dies
	done  chan struct{} // closed when it has ended
	why   error         // it has, once done is closed
	leave chan struct{} // closed when the origin wants new tunnels elsewhere
}

// API Gateway ends a connection after two hours. A random time before that
// keeps a household's carriers from being renewed all at once.
const (
	gatewayLife  = 95 * time.Minute
	gatewayMore  = 15 * time.Minute
	backToStream = 5 * time.Minute // the gateway door is slower and dearer
	maxDoubts    = 4               // doublings of that while the stream door disappoints
	retireAfter  = 30 * time.Second
	renewRetry   = time.Minute
)

func anyFront(link.Front) bool      { return true }
func streamFront(f link.Front) bool { return !f.Gateway }

// dial makes a carrier to h by the first front that answers, of those that may
// be taken, and serves it.
func (c *Client) dial(ctx context.Context, h *home, may func(link.Front) bool) (*lane, error) {
	sock, at, err := c.dialSocket(ctx, h, may)
	if err != nil {
		if wasAnswered(err) {
			c.pool.note(false)
		}
		return nil, err
	}
	c.pool.setFront(at)
	l := &lane{Carrier: relay.NewCarrier(sock, c.table, 0), front: at, done: make(chan struct{}), leave: make(chan struct{})}
	l.Home = h
	if c.cfg.Link.Fronts[at].Gateway {
		l.until = time.Now().Add(gatewayLife + rand.N(gatewayMore))
	}
	c.table.TellLate(l.Carrier)
	l.Ping()
	c.tasks.Go(func() {
		l.why = l.Serve()
		if !l.until.IsZero() {
			c.pool.note(l.Heard())
		}
		c.cfg.Log.Debug("carrier ended", "reason", front.Plainly(l.why))
		close(l.done)
		c.adoptOrphans()
	})
	return l, nil
}

// renewAfter is how often to ask for main's successor.
func (c *Client) renewAfter(main *lane) time.Duration {
	switch {
	case main.until.IsZero():
		return 1 << 62 // never
	case slices.ContainsFunc(c.cfg.Link.Fronts, streamFront):
		return backToStream
	}
	return renewRetry
}

// renew makes main's successor, through the stream door unless time is over, and
// moves its tunnels there while bytes flow. It returns nil if main is to stay.
func (c *Client) renew(ctx context.Context, main *lane) *lane {
	ctx, cancel := context.WithTimeout(ctx, renewLimit)
	defer cancel()
	go func() { // main's end cannot wait: tunnels do
		select {
		case <-main.done:
		case <-main.leave:
		case <-ctx.Done():
		}
		cancel()
	}()
	may, now := streamFront, time.Now()
	switch {
	case now.After(main.until):
		may = anyFront
	case now.Before(c.pool.shunned()):
		return nil
	}
	next, err := c.dial(ctx, main.Home.(*home), may)
	if err != nil {
		return nil
	}
	c.hand(main, next)
	if next.until.IsZero() {
		c.pool.renewBulkAt(now)
	}
	return next
}

// renewBulkAt has bulk follow main to the stream door.
func (p *pool) renewBulkAt(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.bulk {
		if l := p.bulk[i].lane; l != nil && !l.until.IsZero() {
			l.until = at
		}
	}
}

// renewLimit bounds the search for a successor.
const renewLimit = 30 * time.Second

// hand moves tunnels from old to next. What is still on its way by old has time
// to come.
func (c *Client) hand(old, next *lane) {
	old.MoveTo(next.Carrier)
	old.Retire()
	time.AfterFunc(retireAfter, old.Close)
}

// renewBulk replaces the carriers of bulk tunnels before they are cut off.
func (c *Client) renewBulk(now time.Time) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	for i := range c.pool.bulk {
		s := &c.pool.bulk[i]
		old := s.lane
		if old == nil || old.until.IsZero() || now.Before(old.until) || old.Leaving() || !c.busy() {
			continue
		}
		s.lane = nil
		go func() {
			defer c.tasks.Done()
			if next := c.fill(s); next != nil {
				c.hand(old, next)
			} else {
				c.pool.putBack(s, old)
			}
		}()
	}
}

// putBack keeps old, as no other was to be had, to be renewed a little later.
func (p *pool) putBack(s *slot, old *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old.until = time.Now().Add(renewRetry)
	if s.lane == nil {
		s.lane = old
	}
}

// adoptOrphans attaches the tunnels without a carrier to the main one, or has
// them fetched if another origin holds them.
func (c *Client) adoptOrphans() {
	main, _, _ := c.pool.state()
	for _, t := range c.table.Orphans() {
		h, _ := t.Home().(*home)
		switch {
		case h != nil && h != c.pool.homeNow() && h.read() != "":
			c.fetch(h)
		case main != nil && (h != nil || !main.Leaving()): // an origin that drains takes no new ones
			t.Attach(main.Carrier, true)
			if t.IsBulk() {
				go c.promote(t)
			}
		}
	}
}

// fetch makes a carrier to h for the tunnels that it holds, as it drains and
// new ones go elsewhere.
func (c *Client) fetch(h *home) {
	if !h.seek() || !c.busy() {
		return
	}
	go func() {
		defer c.tasks.Done()
		for again := true; again; {
			c.fetchAll(h)
			h.found()
			again = c.running.Err() == nil && c.wanted(h) && h.seek() // that carrier has died meanwhile
		}
	}()
}

func (c *Client) fetchAll(h *home) {
	for c.running.Err() == nil && c.wanted(h) {
		c.next(&h.tries)
		ctx, cancel := context.WithTimeout(c.running, renewLimit)
		l, err := c.dial(ctx, h, anyFront)
		cancel()
		if err != nil {
			continue
		}
		for _, t := range c.orphansOf(h) {
			t.Attach(l.Carrier, true)
		}
		l.Retire()
	}
}

// wanted reports whether a carrier to h is: for tunnels, or to tell how some
// ended.
func (c *Client) wanted(h *home) bool {
	return len(c.orphansOf(h)) > 0 || slices.Contains(c.table.Untold(), any(h))
}

// tellUntold has every origin know how tunnels of its ended whose carriers died
// with the news.
func (c *Client) tellUntold() {
	main, _, _ := c.pool.state()
	for _, of := range c.table.Untold() {
		h, _ := of.(*home)
		switch {
		case h != nil && h != c.pool.homeNow() && h.read() != "":
			c.fetch(h)
		case main != nil && !main.Dead():
			c.table.TellLate(main.Carrier)
		}
	}
}

func (c *Client) orphansOf(h *home) []*relay.Tunnel {
	return slices.DeleteFunc(c.table.Orphans(), func(t *relay.Tunnel) bool { return t.Home() != any(h) })
}
