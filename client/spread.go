package client

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// spread is the tunnels of bulk where each carrier brings little, and their carriers: every tunnel
// goes by all of them at once.
type spread struct {
	mu       sync.Mutex // guards the following
	tunnels  []*tunnel.Tunnel
	carriers []*activeCarrier // those that are not spent
	recent   []time.Time      // when carriers were spent of late
	begun    []time.Time      // when carriers were dialled within the last minute
	pending  []*pending       // those that are being dialled, oldest first
	running  bool
	others   atomic.Int32              // dials under way that are not for bulk
	made     map[*carrier.Carrier]bool // carriers that live, the spent ones too

	changed chan struct{} // has room for one: another may be wanted now; run's
}

// pending is a dial for bulk.
type pending struct {
	claim
	began time.Time
	ctx   context.Context // has the claim
	over  bool            // it was given up; spread.mu guards it
}

func newSpread() *spread {
	return &spread{made: map[*carrier.Carrier]bool{}, changed: make(chan struct{}, 1)}
}

const (
	// spreadRecent is how long a carrier that was spent calls for others.
	spreadRecent = 2 * time.Second
	// forgottenAfter is how long a carrier brings nothing, at least, though others are spent, that is not waited for, while
	// one that brings something is silent for less than flowsWithin.
	forgottenAfter = 1500 * time.Millisecond
	flowsWithin    = 500 * time.Millisecond
	// spreadEvery is how often it is seen to that there are enough.
	spreadEvery = 50 * time.Millisecond
	// dialLate is how late a dial may be, as there were enough carriers, for the next to come sooner.
	dialLate = 200 * time.Millisecond
	// lateDials is how many head starts a dial may take.
	lateDials = 2
)

// add has t go by several carriers.
func (s *spread) add(c *Client, t *tunnel.Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(s.tunnels, t) {
		return
	}
	s.tunnels = append(s.tunnels, t)
	s.joinAll(t)
	if !s.running {
		s.running = true
		c.task(func() { s.run(c) })
	}
}

// join has t go by l, and no more by a carrier that is chat's, or in doubt. mu is held.
func (s *spread) join(t *tunnel.Tunnel, l *activeCarrier) {
	if at := t.Session(); at != nil && at != l.home.session || at == nil && l.Draining() {
		return
	}
	switch at := t.Carrier(); {
	case at != nil && at.Doubted() && l.gateway: // what is new would leave no room for what that took
		t.Replace(l.Carrier)
	case at != nil && (!s.made[at] || at.Doubted()):
		t.Attach(l.Carrier, false)
	case at != nil && at.Spent(): // there was no other until now
		t.Add(l.Carrier)
		l.home.session.Leave(at)
	default:
		t.Add(l.Carrier)
	}
}

// rejoin has t, which has lost the last of its carriers, go by those that are left, and reports whether there is one.
func (s *spread) rejoin(t *tunnel.Tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joinAll(t)
	return t.Carrier() != nil
}

// isBarred reports whether the network lets bulk begin no connection now.
func (s *spread) isBarred(c *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !c.mayDialBulk(len(s.begun))
}

// joinAll has t go by all carriers that are good. mu is held.
func (s *spread) joinAll(t *tunnel.Tunnel) {
	for _, l := range s.carriers {
		if l.isGood() && !l.Spent() {
			s.join(t, l)
		}
	}
}

// regain has the tunnels go by all carriers that are good again which did until another died.
func (s *spread) regain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tunnels {
		for _, l := range s.carriers {
			if l.isGood() && !l.Spent() {
				t.Regain(l.Carrier)
			}
		}
	}
}

// has reports whether t goes by several carriers, or is about to.
func (s *spread) has(t *tunnel.Tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.tunnels, t)
}

// spent has the tunnels leave l, and ends it.
func (s *spread) spent(c *Client, l *activeCarrier) {
	s.mu.Lock()
	s.carriers = slices.DeleteFunc(s.carriers, func(o *activeCarrier) bool { return o == l })
	s.recent = append(s.recent, time.Now())
	s.mu.Unlock()
	s.leave(c, l)
}

// leave has the tunnels leave l, which is none of carriers any more, and ends it.
func (s *spread) leave(c *Client, l *activeCarrier) {
	l.home.session.Leave(l.Carrier)
	c.part(l)
	s.wake()
}

// run dials carriers while there are tunnels, as many a second as may be.
func (s *spread) run(c *Client) {
	every := max(time.Duration(float64(time.Second)/c.cfg.DialRate), 4)
	next := time.Now()
	for c.running.Err() == nil && s.goesOn() {
		now := time.Now()
		s.regain()
		s.release(c)
		if l := s.forgotten(now); l != nil {
			c.task(func() { s.leave(c, l) })
		}
		if !s.wants(c.seen(c.pool.current())) || now.Before(next) || !c.isCalm() {
			s.wait(c, next)
			continue
		}
		p := s.begin(c, now)
		if p == nil {
			s.wait(c, next)
			continue
		}
		if late := now.Add(-dialLate); next.Before(late) {
			next = late
		}
		next = next.Add(every*3/4 + rand.N(every/2))
		c.task(func() {
			s.dial(p.ctx, c)
			s.ended(p)
		})
	}
}

// wait returns when another carrier may be wanted: at next, or when one has ended, or soon.
func (s *spread) wait(c *Client, next time.Time) {
	soon := spreadEvery
	if left := time.Until(next); left > 0 {
		soon = min(left, spreadEvery)
	}
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.changed:
	case <-c.running.Done():
	}
}

// wake has run look again.
func (s *spread) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// begin notes that another carrier is dialled, and returns nil if it may not be: none is while one is late, as the
// network may let no more pass. ended follows.
func (s *spread) begin(c *Client, now time.Time) *pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = slices.DeleteFunc(s.begun, func(at time.Time) bool { return now.Sub(at) > aMinute })
	head := c.health.headStart(c.health.first())
	late := len(s.pending) > 0 && now.Sub(s.pending[0].began) > head
	if late || !c.mayDialBulk(len(s.begun)) {
		return nil
	}
	p := &pending{began: now}
	p.ctx, p.end = context.WithTimeout(c.running, min(bulkDial, lateDials*head)) // no other is dialled once it is late
	p.ctx = context.WithValue(p.ctx, claimKey{}, &p.claim)
	s.begun, s.pending = append(s.begun, now), append(s.pending, p)
	return p
}

// ended notes that a dial is over.
func (s *spread) ended(p *pending) {
	p.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = slices.DeleteFunc(s.pending, func(o *pending) bool { return o == p })
	s.wake()
}

// giveUp ends, and reports whether there was, the dial that began last of those that have a place and were not given up.
func (s *spread) giveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range slices.Backward(s.pending) {
		if !p.over && p.held.Load() > 0 {
			p.over = true
			p.end()
			return true
		}
	}
	return false
}

// release has chat go by chat's carrier alone again which moves little now.
func (s *spread) release(c *Client) {
	main := c.pool.view().main
	if main == nil || !main.isGood() || main.Spent() {
		return
	}
	var calm []*tunnel.Tunnel
	s.mu.Lock()
	s.tunnels = slices.DeleteFunc(s.tunnels, func(t *tunnel.Tunnel) bool {
		isCalm := t.Service.Kind == wire.Chat && t.Session() == main.home.session && t.Calm()
		if isCalm {
			calm = append(calm, t)
		}
		return isCalm
	})
	s.mu.Unlock()
	for _, t := range calm {
		t.Attach(main.Carrier, false)
	}
}

// goesOn reports whether there is a tunnel yet.
func (s *spread) goesOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tunnels = slices.DeleteFunc(s.tunnels, (*tunnel.Tunnel).IsOver)
	s.running = len(s.tunnels) > 0
	if !s.running {
		for _, l := range s.carriers {
			l.Retire() // ends when it is unused
		}
		s.carriers = nil
		clear(s.made)
	}
	return s.running
}

// wants reports whether another carrier is to be dialled beside those that are, where a network sees so many: there is one,
// and as many more as were spent of late, as long as it sees no more than it may. One that is half spent has its successor
// dialled: what is left of it is on its way, as a rule. While none was spent of late only a lone one has that, of whose
// budget half is gone indeed: a small budget is as good as spent from the first record on, though nothing flows.
func (s *spread) wants(seen int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carriers = slices.DeleteFunc(s.carriers, func(l *activeCarrier) bool { return !l.isGood() || l.Spent() })
	maps.DeleteFunc(s.made, func(l *carrier.Carrier, _ bool) bool { return l.Dead() })
	s.recent = slices.DeleteFunc(s.recent, func(at time.Time) bool { return time.Since(at) > spreadRecent })
	lasting := len(s.pending)
	for _, l := range s.carriers {
		if !l.Budgeted() {
			return false
		}
		lasts := !l.HalfSpent()
		if len(s.recent) == 0 {
			spent, all := l.Budget()
			lasts = spent < all/2 || len(s.carriers) > 1
		}
		if lasts {
			lasting++
		}
	}
	return seen < mostSeen && lasting < min(1+len(s.recent), spreadMost)
}

// forgotten is a carrier of the stream door by which nothing comes while others are spent and bring more, as the origin may
// have heard too late that it is to be used; nil: there is none. It is taken out. Where all are silent the path is, or the app.
func (s *spread) forgotten(now time.Time) *activeCarrier {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recent) < 2 || !slices.ContainsFunc(s.carriers, func(l *activeCarrier) bool { return l.Quiet(now) < flowsWithin }) {
		return nil
	}
	i := slices.IndexFunc(s.carriers, func(l *activeCarrier) bool {
		atLeast := max(forgottenAfter, 4*l.RTT())
		return !l.gateway && l.Budgeted() && l.isGood() && now.Sub(l.began) > atLeast && l.Quiet(now) > atLeast
	})
	if i < 0 {
		return nil
	}
	l := s.carriers[i]
	s.carriers = slices.Delete(s.carriers, i, i+1)
	return l
}

// dial makes one carrier more.
func (s *spread) dial(ctx context.Context, c *Client) {
	l, err := c.dialFor(ctx, wanted{home: c.pool.current(), may: anyFront, bulk: s})
	if err != nil {
		return
	}
	if !l.gateway {
		s.take(l)
	}
}

// take has the tunnels go by l, too.
func (s *spread) take(l *activeCarrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running { // all have ended meanwhile
		l.Retire()
		return
	}
	s.carriers = append(s.carriers, l)
	s.made[l.Carrier] = true
	for _, t := range s.tunnels {
		s.join(t, l)
	}
}
