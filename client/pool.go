package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// poolState says how it stands with the main carrier, where all tunnels begin.
//
//	connecting ── onConnected ─▶ connected ── onDrain ─▶ draining
//	    ▲                           │                     │   │
//	    │                        onDeath               onDeath│
//	    │                           ▼                     │   │
//	    ├──────── onVacant ─────── lost ◀─────────────────┘   │
//	    └──────── onVacant ───────────────────────────────────┘
//
// A successor that takes over in time leads from connected to connected.
// onConnected, and onTrust after a doubt, lead to draining, spending, doubted or lost at once if
// the carrier has come to that meanwhile. onRest leads from connecting to resting, and onVacant back.
type poolState int

const (
	connecting poolState = iota // there is no main carrier; new tunnels wait for one
	connected                   // the main carrier takes new tunnels
	draining                    // its origin wants new tunnels elsewhere, and keeps those it has
	spending                    // half of its budget is spent; another is dialled
	doubted                     // it owes an answer for long; another is dialled, and it may answer yet
	resting                     // it was cut as it rested, and nobody needs another yet
	lost                        // it has died; bulk gets carriers of its own until the next is dialled
)

// pool is the client's carriers: a main one, where all tunnels begin, and up
// to maxBulk for those that prove to be bulk, so that media does not queue in
// front of chat.
type pool struct {
	wanted chan struct{} // says that a tunnel waits for a main carrier

	mu       sync.Mutex // guards the following; never held across I/O
	state    poolState
	main     *activeCarrier // nil while connecting, and only then
	err      error          // why the last dial failed, if it did
	changed  chan struct{}  // closed at the next transition
	home     *home          // takes new tunnels
	homes    []*home        // it, and those before it that have tunnels yet; another list with each change
	bulk     [maxBulk]bulkSlot
	retiring []retiring
	use      use
}

// retiring is a carrier whose tunnels have gone to its successor.
type retiring struct {
	carrier *activeCarrier
	until   time.Time // what is still on its way has come by then
}

// newPool makes a pool without a carrier. Call move next.
func newPool() *pool {
	p := &pool{wanted: make(chan struct{}, 1), changed: make(chan struct{})}
	for i := range p.bulk {
		p.bulk[i].dialing = make(chan struct{}, 1)
	}
	return p
}

// become ends each transition. mu is held.
func (p *pool) become(s poolState) {
	p.state = s
	close(p.changed)
	p.changed = make(chan struct{})
}

// onConnected makes l the main carrier. What befell it before is not missed.
func (p *pool) onConnected(l *activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.main, p.err, p.use.since = l, nil, time.Now()
	p.see(l)
}

// see has the state be what has befallen l, the main carrier. mu is held.
func (p *pool) see(l *activeCarrier) {
	switch {
	case l.ended:
		p.become(lost)
	case l.Doubted():
		p.become(doubted)
	case l.Draining():
		p.become(draining)
	case l.HalfSpent():
		p.become(spending)
	default:
		p.become(connected)
	}
}

// onDrain notes that the origin wants new tunnels elsewhere. Those that c has
// stay.
func (p *pool) onDrain(c *carrier.Carrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if (p.state == connected || p.state == spending) && p.main.Carrier == c {
		p.become(draining)
	}
}

// activeOf finds what serves a carrier; nil if nothing does.
func (p *pool) activeOf(in *carrier.Carrier) *activeCarrier {
	for _, h := range p.allHomes() {
		if l := h.activeOf(in); l != nil {
			return l
		}
	}
	return nil
}

// onDoubt notes that l may have died, and reports whether it is the main carrier.
func (p *pool) onDoubt(l *activeCarrier) (isMain bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main != l {
		return false
	}
	if p.state == connected || p.state == spending {
		p.become(doubted)
	}
	return true
}

// onSpending notes that half of l's budget is spent, and reports whether it is the main carrier.
func (p *pool) onSpending(l *activeCarrier) (isMain bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main != l {
		return false
	}
	if p.state == connected || p.state == spending {
		p.become(spending)
	}
	return true
}

// onTrust notes that a main carrier in doubt was not replaced, so that it is doubted again.
func (p *pool) onTrust(l *activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.main == l && p.state == doubted {
		p.see(l)
	}
}

// onDeath notes that l has ended, and why.
func (p *pool) onDeath(l *activeCarrier, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.ended, l.why = true, why
	if p.main == l {
		p.become(lost)
	}
}

// onVacant notes that another carrier is to be dialled now, or that dialling
// failed with err.
func (p *pool) onVacant(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.main, p.err = nil, err
	p.become(connecting)
}

// onRest notes that no carrier is dialled before somebody needs one.
func (p *pool) onRest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.become(resting)
}

// poolView is the pool at one moment.
type poolView struct {
	state   poolState
	main    *activeCarrier
	err     error
	changed <-chan struct{} // closed once this is no longer so
}

func (p *pool) view() poolView {
	p.mu.Lock()
	defer p.mu.Unlock()
	return poolView{p.state, p.main, p.err, p.changed}
}

// takesTunnels reports whether new tunnels may be attached to main.
func (v poolView) takesTunnels() bool {
	return v.main != nil && !v.main.Dead() && !v.main.Draining() && !v.main.Doubted()
}

// current is the home to which new tunnels go.
func (p *pool) current() *home {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.home
}

// move makes to, which is still to be found, the home of new tunnels, unless from is
// that no more.
func (p *pool) move(from, to *home) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.home == from {
		p.home, p.homes = to, append(slices.Clone(p.homes), to)
	}
}

// allHomes lists the current home and those that have tunnels yet. The caller must not change it.
func (p *pool) allHomes() []*home {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.homes
}

// homeOf finds the home of a tunnel that has begun; nil: it is forgotten.
func (p *pool) homeOf(s *tunnel.Session) *home {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.homes, func(h *home) bool { return h.session == s }); i >= 0 {
		return p.homes[i]
	}
	return nil
}

// takeOver takes out the homes that were left and for which nothing is to be done.
func (p *pool) takeOver() (over []*home) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.homes {
		if h != p.home && h.isOver() {
			over = append(over, h)
		}
	}
	if len(over) > 0 { // who lists them has the list of before
		p.homes = slices.DeleteFunc(slices.Clone(p.homes), func(h *home) bool { return slices.Contains(over, h) })
	}
	return over
}

// want ends a pause that began when nobody waited.
func (p *pool) want() {
	select {
	case p.wanted <- struct{}{}:
	default:
	}
}

// place attaches a tunnel to the main carrier. Without one, the next takes it.
func (c *Client) place(t *tunnel.Tunnel) {
	now := c.pool.view()
	if !now.takesTunnels() {
		c.pool.want()
		return
	}
	if t.Service.Kind == wire.Media && c.areTight() { // what chat's carrier may bring is chat's
		c.spread.add(c, t)
		return
	}
	t.Attach(now.main.Carrier, false)
	if t.Carrier() == nil { // main has died meanwhile, and whoever came after it may not have seen t
		c.adoptOrphans()
	}
}

// keepMain sees to it that there is a main carrier until ctx ends.
func (c *Client) keepMain(ctx context.Context) {
	wait := dial.Backoff{First: retryFirst}
	for ctx.Err() == nil {
		c.awaitUse(ctx)
		main, err := c.dialFor(ctx, wanted{home: c.pool.current(), may: anyFront, visits: true})
		if err != nil {
			c.pool.onVacant(err)
			c.cfg.Log.Warn("cannot reach the origin, trying again", "error", err)
			c.pause(ctx, &wait, c.hasWaiting(), nil)
			continue
		}
		for main != nil {
			c.pool.onConnected(main)
			c.adoptOrphans()
			c.rescue(main)
			main = c.watch(ctx, main, &wait)
		}
	}
}

// watch returns when main is to be replaced: it is dead, or its origin wants
// new tunnels elsewhere, which may be where the next front leads. It returns
// main's successor if that is to take over, as it can before main's end.
func (c *Client) watch(ctx context.Context, main *activeCarrier, wait *dial.Backoff) *activeCarrier {
	renew := time.NewTicker(c.renewAfter(main))
	defer renew.Stop()
	for {
		now := c.pool.view()
		switch now.state {
		case draining:
			c.onDrain(ctx, main, wait, now.changed)
			return nil
		case lost:
			c.onCarrierDeath(ctx, main, wait)
			return nil
		case spending:
			if next := c.succeed(ctx, main, wait); next != nil || ctx.Err() != nil {
				return next
			}
			continue
		case doubted:
			if next := c.replace(ctx, main, wait); next != nil || ctx.Err() != nil {
				return next
			}
			if !main.Doubted() {
				c.pool.onTrust(main)
				c.adoptOrphans()
			}
			continue
		}
		select {
		case <-now.changed:
		case <-c.fronts.changed:
			if next := c.followList(ctx, main, renew, now.changed); next != nil {
				return next
			}
		case <-renew.C:
			if next := c.renew(ctx, main, now.changed); next != nil {
				return next
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// onCarrierDeath pauses after main has died. One that led to another origin says
// nothing of its front; new tunnels go where it led.
func (c *Client) onCarrierDeath(ctx context.Context, main *activeCarrier, wait *dial.Backoff) {
	isAstray := main.wasAstray()
	if !isAstray {
		c.health.carrierDied(main.front, main.gateway, time.Since(main.began))
	}
	if main.Draining() {
		c.health.pass(main.front)
	}
	if isAstray {
		main.home.session.TakeBack()
	}
	if isAstray || main.Draining() {
		c.leaveHome(main.home)
	}
	c.health.pauseAfter(main, wait)
	var err error
	if c.health.refused() && main.wasLost() {
		// API Gateway opens again and again, as it does to whoever has a token,
		// and no origin takes what is said then.
		err = ErrNotLetIn
		c.pool.onVacant(err)
	}
	c.pause(ctx, wait, c.hasWaiting(), nil)
	c.pool.onVacant(err) // not before: while the pool is lost, bulk goes on
}

// leaveHome has new tunnels go to another origin. What h has stays with it.
func (c *Client) leaveHome(h *home) {
	c.pool.move(h, newHome(c.table, c.pair))
	h.retireAll()
	c.adoptOrphans()
}

// onDrain looks for another origin, after a pause if the one before did not last
// either; main's end, which closes died, ends the pause.
func (c *Client) onDrain(ctx context.Context, main *activeCarrier, wait *dial.Backoff, died <-chan struct{}) {
	c.health.pass(main.front) // the next front may lead to another
	c.leaveHome(main.home)
	if wait.Next > 0 || time.Since(main.began) < stable { // this one, too, was told at once
		wait.Next = max(wait.Next, retryDrained)
		c.pause(ctx, wait, false, died)
	}
	c.pool.onVacant(nil)
}

// hasWaiting reports whether a tunnel waits for the next main carrier. Those that an
// origin has that was left wait for another.
func (c *Client) hasWaiting() bool {
	return slices.ContainsFunc(c.table.Orphans(), func(t *tunnel.Tunnel) bool {
		return t.Session() == nil || t.Session() == c.pool.current().session
	})
}

// pause waits before the next dial, or until gone is closed; less long if
// tunnels are waiting, and no longer once the first does.
func (c *Client) pause(ctx context.Context, b *dial.Backoff, waiting bool, gone <-chan struct{}) {
	wanted := c.pool.wanted
	if waiting {
		wanted = nil
	}
	b.Limit = c.health.longestPause(waiting)
	t := time.NewTimer(b.Pause())
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-wanted:
	case <-gone:
	}
}

// keepAlive checks all carriers until ctx ends, and ends those that nobody needs.
func (c *Client) keepAlive(ctx context.Context) {
	tick, minute := time.NewTimer(carrier.CheckEvery), time.NewTicker(time.Minute)
	defer tick.Stop()
	defer minute.Stop()
	sleeps := newSleeps(c.cfg.Now())
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			tick.Reset(c.table.Carriers.CheckIn(now))
			if sleeps.slept(c.cfg.Now()) {
				c.wake()
			}
			c.checkAll(now)
			c.pool.endIdleBulk(now)
			c.renewBulk(now)
			c.tendHomes()
			c.visitAgain(now)
			if c.learned.isDue(now) {
				c.task(c.keepLearned)
			}
		case now := <-minute.C:
			for _, h := range c.pool.allHomes() {
				h.agreed.Expire(now)
			}
		}
	}
}

// wake closes all carriers after a sleep: to ask each whether it lives would take
// as long as an answer may, and the app is used now.
func (c *Client) wake() {
	for _, carrier := range c.table.Carriers.All() {
		carrier.Close()
	}
	c.pool.want()
}

const (
	// unusedFor is how long a draining carrier is kept without tunnels, and
	// retireAfter how long one is kept for what is still on its way to it.
	unusedFor   = 2 * time.Second
	retireAfter = 30 * time.Second
)

func (c *Client) checkAll(now time.Time) {
	main := c.pool.view().main
	for _, carrier := range c.table.Carriers.All() {
		carrier.Check(now)
		isMain := main != nil && main.Carrier == carrier
		if carrier.Draining() && carrier.Unused(now) > unusedFor && !isMain {
			carrier.Close()
		}
	}
	for _, l := range c.pool.retired(now) {
		l.home.session.Part(l.Carrier)
	}
}

// migrate moves tunnels from old to next, a carrier of the same home.
func (c *Client) migrate(old, next *activeCarrier) {
	old.home.session.Move(old.Carrier, next.Carrier, c.spread.has)
	old.Retire()
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	c.pool.retiring = append(c.pool.retiring, retiring{old, time.Now().Add(retireAfter)})
}

// retired takes out the carriers whose time is over.
func (p *pool) retired(now time.Time) (all []*activeCarrier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retiring = slices.DeleteFunc(p.retiring, func(r retiring) bool {
		over := now.After(r.until)
		if over {
			all = append(all, r.carrier)
		}
		return over
	})
	return all
}
