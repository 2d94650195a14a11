package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"culvert/internal/relay"
	"culvert/internal/transport"
)

// maxBulk is how many carriers bulk tunnels share beside the main one. Two keep
// two cores busy; with more, chat waits behind more of them on a slow link.
const maxBulk = 2

// bulkIdle is how long a carrier of bulk tunnels is kept without any.
const bulkIdle = 30 * time.Second

// pool is the client's carriers: a main one, where all tunnels begin, and up
// to maxBulk for those that prove to be bulk, so that media does not queue in
// front of chat.
type pool struct {
	mu      sync.Mutex // guards the following; never held across I/O
	main    *lane
	changed chan struct{} // closed when main changes, and replaced
	wanted  chan struct{} // tells that a tunnel waits for main
	err     error         // of the last dial
	home    *home         // of the origin that takes new tunnels
	prefer  int           // the front that was good last
	suspect int           // the front of the last carrier that died young
	doubts  int           // how many did so by it, one after the other
	shun    time.Time     // until when the stream door is not gone back to
	unheard int           // answers and carriers at the gateway door, one after the other, that brought nothing of the origin's
	bulk    [maxBulk]slot
}

// slot is a place for a carrier of bulk tunnels.
type slot struct {
	dialing chan struct{} // holds one: one dial at a time
	tries   tries         // of who dials
	lane    *lane         // guarded by pool.mu, as the rest
	coming  int           // tunnels that are about to be attached
	idle    time.Time     // since when it has had none
}

func (p *pool) state() (*lane, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.main, p.changed, p.err
}

func (p *pool) setMain(l *lane, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.main, p.err = l, err
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pool) isMain(c *relay.Carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.main != nil && p.main.Carrier == c
}

func (p *pool) front() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prefer
}

func (p *pool) setFront(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prefer = i
}

// place attaches a tunnel to the main carrier. Without one, the next takes it.
func (c *Client) place(t *relay.Tunnel) {
	for {
		main, _, _ := c.pool.state()
		if main == nil || main.Dead() || main.Leaving() {
			c.pool.want()
			return
		}
		t.Attach(main.Carrier, false)
		if now, _, _ := c.pool.state(); now == main || t.Carrier() != nil {
			return
		}
	}
}

// want ends a pause that began when nobody waited.
func (p *pool) want() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// keepMain sees to it that there is a main carrier until ctx ends.
func (c *Client) keepMain(ctx context.Context) {
	var wait retry
	for ctx.Err() == nil {
		main, err := c.dial(ctx, c.pool.homeNow(), anyFront)
		if err != nil {
			c.pool.setMain(nil, err)
			c.cfg.Log.Warn("cannot reach the origin, trying again", "error", err)
			c.pause(ctx, &wait, c.table.Tunnels() > 0, nil)
			continue
		}
		for main != nil {
			c.pool.setMain(main, nil)
			c.adoptOrphans()
			main = c.watch(ctx, main, &wait)
		}
	}
}

// watch returns when main is to be replaced: it is dead, or its origin wants
// new tunnels elsewhere, which may be where the next front leads. It returns
// main's successor if that has taken over already.
func (c *Client) watch(ctx context.Context, main *lane, wait *retry) (next *lane) {
	began := time.Now()
	renew := time.NewTicker(c.renewAfter(main))
	defer renew.Stop()
	if main.Leaving() { // said before it was main
		c.left(main.Carrier)
	}
	for next == nil {
		select {
		case <-renew.C:
			next = c.renew(ctx, main)
			continue
		case <-ctx.Done():
		case <-main.done:
			c.mourn(ctx, main, began, wait)
		case <-main.leave:
			c.moveOn(ctx, main, began, wait)
		}
		break
	}
	return next
}

// mourn pauses after main has died. If that happens early again and again, the
// next front is tried first: some are cut or frozen once they carry something.
func (c *Client) mourn(ctx context.Context, main *lane, began time.Time, wait *retry) {
	if c.pool.judge(main, time.Since(began) < young) {
		c.pool.setFront((main.front + 1) % len(c.cfg.Link.Fronts))
	}
	switch {
	case !main.Heard():
	case time.Since(began) > steady:
		*wait = 0
	case errors.Is(main.why, transport.ErrLost):
		*wait = min(*wait, retryLost)
	default:
		*wait = min(*wait, retryWorked)
	}
	err := c.pool.refusal(main)
	if err != nil {
		c.pool.setMain(nil, err)
	}
	c.pause(ctx, wait, c.table.Tunnels() > 0, nil)
	c.pool.setMain(nil, err) // not before: with it bulk goes to carriers of its own meanwhile
}

// judge notes how a main carrier died; true if others than its front should be
// tried first: it was not the first by that front to die young.
func (p *pool) judge(main *lane, young bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !young || p.suspect != main.front {
		p.doubts, p.shun = 0, time.Time{}
	}
	if !young {
		return false
	}
	p.suspect = main.front
	p.doubts++
	if p.doubts < maxYoung {
		return false
	}
	if main.until.IsZero() {
		p.shun = time.Now().Add(backToStream << min(p.doubts-maxYoung, maxDoubts))
	}
	return p.prefer == main.front
}

// refusal is ErrNotLetIn when API Gateway opens again and again, as it does to
// whoever has a token, and no origin takes what is said then.
func (p *pool) refusal(main *lane) error {
	if !p.isRefused() || !errors.Is(main.why, transport.ErrLost) {
		return nil
	}
	return ErrNotLetIn
}

func (p *pool) shunned() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shun
}

// moveOn looks for another origin.
func (c *Client) moveOn(ctx context.Context, main *lane, began time.Time, wait *retry) {
	c.pool.leaveHome((main.front + 1) % len(c.cfg.Link.Fronts))
	if *wait > 0 || time.Since(began) < steady { // this one, too, was told at once
		*wait = max(*wait, retry(time.Second))
		c.pause(ctx, wait, false, main.done)
	}
	c.pool.setMain(nil, nil)
}

// left notes that the origin wants new tunnels elsewhere. Those it holds stay.
func (c *Client) left(dead *relay.Carrier) {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	if m := c.pool.main; m != nil && m.Carrier == dead {
		select {
		case <-m.leave:
		default:
			close(m.leave)
		}
	}
}

// promote gives a tunnel that proved to be bulk a place apart from chat. One
// whose origin is draining stays: a new carrier may lead to another origin,
// which does not know it.
func (c *Client) promote(t *relay.Tunnel) {
	if !c.busy() {
		return
	}
	defer c.tasks.Done()
	if staying(t) {
		return
	}
	s := c.pool.choose()
	l := c.fill(s)
	if l != nil && !staying(t) {
		t.Attach(l.Carrier, false)
	}
	c.pool.mu.Lock()
	s.coming--
	c.pool.mu.Unlock()
}

func staying(t *relay.Tunnel) bool {
	at := t.Carrier()
	return at != nil && at.Leaving()
}

// choose picks the slot with the fewest tunnels.
func (p *pool) choose() *slot {
	p.mu.Lock()
	defer p.mu.Unlock()
	best, least := &p.bulk[0], 1<<30
	for i := range p.bulk {
		s := &p.bulk[i]
		if n := s.load(); n < least {
			best, least = s, n
		}
	}
	best.coming++
	return best
}

func (s *slot) load() int {
	n := s.coming
	if s.lane != nil && !s.lane.Dead() {
		n += s.lane.Load()
	}
	return n
}

// bulkDial bounds the dial for a bulk carrier; the tunnel goes on meanwhile.
const bulkDial = 20 * time.Second

// fill returns the slot's carrier and makes it if there is none.
func (c *Client) fill(s *slot) *lane {
	s.dialing <- struct{}{} // no lock: this may wait for the network
	defer func() { <-s.dialing }()
	c.pool.mu.Lock()
	l := s.lane
	c.pool.mu.Unlock()
	if l != nil && !l.Dead() && !l.Leaving() {
		return l
	}
	if l != nil && l.Heard() && l.until.IsZero() { // it worked, and another costs nothing
		s.tries.wait = 0
	}
	c.next(&s.tries)
	ctx, cancel := context.WithTimeout(c.running, bulkDial)
	defer cancel()
	l, err := c.dial(ctx, c.pool.homeNow(), anyFront)
	if err != nil {
		return nil
	}
	c.pool.mu.Lock()
	s.lane, s.idle = l, time.Now()
	c.pool.mu.Unlock()
	return l
}

// unusedFor is how long a carrier that is to be left is kept without tunnels.
const unusedFor = 2 * time.Second

// keepAlive checks all carriers until ctx ends, and ends bulk ones that have
// been without tunnels for a while.
func (c *Client) keepAlive(ctx context.Context) {
	tick := time.NewTicker(relay.CheckEvery)
	defer tick.Stop()
	sleeps := newSleeps(c.cfg.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if sleeps.slept(c.cfg.Now()) {
				c.wake()
			}
			for _, carrier := range c.table.AllCarriers() {
				carrier.Check(now)
				if carrier.Leaving() && carrier.Unused(now) > unusedFor && !c.pool.isMain(carrier) {
					carrier.Close()
				}
			}
			c.pool.endIdle(now)
			c.renewBulk(now)
			c.tellUntold()
		}
	}
}

func (p *pool) endIdle(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.bulk {
		s := &p.bulk[i]
		switch {
		case s.lane == nil || s.load() > 0:
			s.idle = now
		case now.Sub(s.idle) > bulkIdle:
			go s.lane.Close()
			s.lane = nil
		}
	}
}
