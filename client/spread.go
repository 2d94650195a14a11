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
)

// spread is the tunnels of bulk where each carrier brings little, and their carriers: every tunnel
// goes by all of them at once.
type spread struct {
	mu       sync.Mutex // guards the following
	tunnels  []*tunnel.Tunnel
	carriers []*activeCarrier // those that are not spent
	recent   []time.Time      // when carriers were spent of late
	begun    []time.Time      // when carriers were dialled within the last minute
	pending  []time.Time      // when those were that are being dialled, oldest first
	running  bool
	others   atomic.Int32              // dials under way that are not for bulk
	made     map[*carrier.Carrier]bool // carriers that live, the spent ones too

	changed chan struct{} // has room for one: another may be wanted now; run's
}

func newSpread() *spread {
	return &spread{made: map[*carrier.Carrier]bool{}, changed: make(chan struct{}, 1)}
}

const (
	// spreadMost is how many connections there are for bulk, and mostSeen how many a network sees at once, with chat's,
	// those in doubt and those that are spent, or being opened, as they are replaced.
	spreadMost = 5
	mostSeen   = spreadMost + 2
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
		if l := s.forgotten(now); l != nil {
			c.task(func() { s.leave(c, l) })
		}
		if s.wants(c.pool.current()) && !now.Before(next) && c.isCalm() && s.begin(c, now) {
			if late := now.Add(-dialLate); next.Before(late) {
				next = late
			}
			next = next.Add(every*3/4 + rand.N(every/2))
			c.task(func() {
				s.dial(c)
				s.ended(now)
			})
			continue
		}
		s.wait(c, next)
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

// begin reports, and notes, that another carrier may be dialled: none does while one is late, as the
// network may let no more pass.
func (s *spread) begin(c *Client, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = slices.DeleteFunc(s.begun, func(at time.Time) bool { return now.Sub(at) > aMinute })
	late := len(s.pending) > 0 && now.Sub(s.pending[0]) > c.health.headStart(c.health.first())
	if late || !c.mayDialBulk(len(s.begun)) {
		return false
	}
	s.begun, s.pending = append(s.begun, now), append(s.pending, now)
	return true
}

// ended notes that a dial that began then is over.
func (s *spread) ended(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = slices.DeleteFunc(s.pending, func(at time.Time) bool { return at.Equal(began) })
	s.wake()
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

// wants reports whether another carrier is to be dialled beside those that are: there is one, and
// as many more as were spent of late, as long as the network sees no more of the home's.
func (s *spread) wants(h *home) bool {
	isFull := s.seen(h) >= mostSeen
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carriers = slices.DeleteFunc(s.carriers, func(l *activeCarrier) bool { return !l.isGood() || l.Spent() })
	maps.DeleteFunc(s.made, func(l *carrier.Carrier, _ bool) bool { return l.Dead() })
	s.recent = slices.DeleteFunc(s.recent, func(at time.Time) bool { return time.Since(at) > spreadRecent })
	isFree := slices.ContainsFunc(s.carriers, func(l *activeCarrier) bool { return !l.Budgeted() })
	return !isFree && !isFull && len(s.carriers)+len(s.pending) < min(1+len(s.recent), spreadMost)
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

// seen is how many connections of a home a network sees, with those that are being opened.
func (s *spread) seen(h *home) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(h.serving()) + len(s.pending) + int(s.others.Load())
}

// makeRoom is called before a dial that is not for bulk, and ended after it. Where a network sees as many carriers as it
// may, one ends: the one that has been there for longest of those in doubt, or of those by which bulk is spread, a spent
// one first. What it took goes again by others.
func (c *Client) makeRoom(h *home) (ended func()) {
	s := c.spread
	s.others.Add(1)
	ended = func() { s.others.Add(-1) }
	if s.seen(h) <= mostSeen {
		return ended
	}
	main, all := c.pool.view().main, h.serving()
	for _, mayEnd := range []func(*activeCarrier) bool{
		func(l *activeCarrier) bool { return l.Doubted() },
		func(l *activeCarrier) bool { return l.isBulk && l.Spent() },
		func(l *activeCarrier) bool { return l.isBulk },
	} {
		if i := slices.IndexFunc(all, func(l *activeCarrier) bool { return l != main && mayEnd(l) }); i >= 0 {
			all[i].Close()
			return ended
		}
	}
	return ended
}

// dial makes one carrier more.
func (s *spread) dial(c *Client) {
	limit := min(bulkDial, lateDials*c.health.headStart(c.health.first())) // no other is dialled meanwhile
	ctx, cancel := context.WithTimeout(c.running, limit)
	defer cancel()
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
