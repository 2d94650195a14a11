package client

import (
	"cmp"
	"sync"
	"time"

	"culvert/client/kept"
	"culvert/internal/carrier"
	"culvert/internal/dial"
	"culvert/internal/wire"
)

// budgets is what carriers by each front may bring: a network may freeze each connection after so
// many bytes from the server. They are learned from how carriers fell silent. They count all bytes
// of the connection, those of TLS's handshake too.
type budgets struct {
	mu     sync.Mutex // guards the following
	fronts map[int]*budget
}

// budget is that of one front.
type budget struct {
	silent *activeCarrier // fell silent, and perhaps froze; nil: none did
	at     int            // how much it had brought
	exact  bool           // to the byte
	frozen int            // what one brought that froze; 0: none has
	since  time.Time      // when that began
	limit  int            // what any may bring; 0: it is not known
	known  bool           // two agreed on that; else it is suspected
	alike  bool           // it is suspected since one by another front froze, and by no more
	trial  int            // carriers of bulk that began while it is: one is let find out whether it is so
	until  time.Time      // when a carrier of bulk is to try for more, or what is suspected is forgotten
	pause  time.Duration  // how long limit was believed the last time
	answer int            // what its answer to a request for a socket takes, about; 0: it is not known
	minute minuteLimit
	rest   restLimit
}

const (
	// leastFreeze and mostFreeze bound what a connection brings that is thought to be frozen by
	// design: less carries nothing, and after more the cause is another.
	leastFreeze, mostFreeze = 5 << 10, 128 << 10
	// mostSuspect bounds what is believed of a single one.
	mostSuspect = 64 << 10
	// freezeSpread is how far two apart are the same freeze.
	freezeSpread = 3 << 10
	// triedAfter is for how long a budget is kept at first, and mostBelieved in the end: a network that stops freezing is found
	// out within as long again as it did so, about, and one that does not loses one carrier a try.
	triedAfter, mostBelieved = time.Minute, 24 * time.Hour
	// suspected is for how long one freeze alone is believed.
	suspected = 2 * time.Minute
	// alikeFor is for how long a front is suspected whose own carriers have not frozen.
	alikeFor = 30 * time.Second
	// exactTrial carriers bring an answer of 64 kB where each brings 15.
	exactTrial = 5
	// slack is what a budget leaves for what nobody counts.
	slack = 300
	// A carrier of bulk that tries whether a front's carriers may bring more has five thirds of
	// the limit; one and a half show that there is none.
	probeNumerator, probeDenominator = 5, 3
)

// total is how much the carrier's connection has brought, parts of records too.
func (l *activeCarrier) total() int {
	if l.brought != nil {
		return l.brought()
	}
	return l.cost + int(l.Brought())
}

// of is the budget of a front. mu is held.
func (b *budgets) of(front int) *budget {
	if b.fronts == nil {
		b.fronts = map[int]*budget{}
	}
	if b.fronts[front] == nil {
		b.fronts[front] = &budget{}
	}
	f := b.fronts[front]
	if !f.known && time.Now().After(f.until) {
		f.limit, f.trial, f.alike = 0, 0, false
	}
	return f
}

// left is what l, which begins, may bring beside what it took to begin; 0: any.
func (b *budgets) left(l *activeCarrier, isBulk bool) uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.of(l.front)
	f.answered()
	b.infer(f, l.gateway)
	b.agree(f)
	now := time.Now()
	limit := f.limit
	switch {
	case limit == 0:
		return 0
	case isBulk && now.After(f.until): // it, and no other for a while, tries for more
		limit, f.until = limit*probeNumerator/probeDenominator, now.Add(suspected)
	}
	if isBulk && !f.known {
		if f.trial++; f.trial == f.trialAt() {
			return 0
		}
	}
	return uint32(max(limit-l.cost, wire.LeastBudget))
}

// trialAt is which carrier of bulk finds out whether what is suspected is so: it may freeze, which takes long
// to notice, and so comes after some where it is known to the byte how much was brought.
func (f *budget) trialAt() int {
	if f.exact && !f.alike {
		return exactTrial
	}
	return 1
}

// forget forgets all, as the network is another.
func (b *budgets) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fronts = nil
}

// recall has what was kept of a front be known.
func (b *budgets) recall(front int, k kept.Front) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.of(front)
	f.minute.recall(k)
	f.rest.recall(k)
	if k.Limit < wire.LeastBudget || k.Limit > mostFreeze {
		return
	}
	f.frozen, f.limit, f.known = k.Frozen, k.Limit, true
	f.pause, f.until = recallPause(triedAfter, k.Pause, k.Until)
}

// recallPause is for how many seconds something was believed, which is least at least, and until when. The clock may have
// been another.
func recallPause(least time.Duration, seconds, unix int64) (pause time.Duration, until time.Time) {
	pause = min(max(time.Duration(seconds)*time.Second, least), mostBelieved)
	if until = time.Unix(unix, 0); time.Until(until) > pause {
		until = time.Now().Add(pause)
	}
	return pause, until
}

// known is what is to be kept of a front: what one carrier alone made suspect is not.
func (b *budgets) known(front int) (k kept.Front) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.of(front)
	if f.known {
		k.Frozen, k.Limit, k.Pause, k.Until = f.frozen, f.limit, int64(f.pause/time.Second), f.until.Unix()
	}
	k.Rest = f.rest.limit.Milliseconds()
	if m := &f.minute; m.known {
		k.Minute, k.MinutePause, k.MinuteUntil = m.limit, int64(m.pause/time.Second), m.until.Unix()
	}
	return k
}

// isTight reports whether carriers by a front may bring little.
func (b *budgets) isTight(front int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(front).limit > 0
}

// compare has fronts whose carriers may bring little come last.
func (b *budgets) compare(one, other int) int {
	switch t := b.isTight(one); {
	case t == b.isTight(other):
		return b.compareRoom(one, other)
	case t:
		return 1
	}
	return -1
}

// compareRoom has fronts come first that open a connection sooner.
func (b *budgets) compareRoom(one, other int) int {
	return cmp.Compare(b.roomIn(one), b.roomIn(other))
}

// fellSilent notes that l is doubted. Whether it froze shows when another answers. One by which no whole message
// has come may have brought much of the first.
func (b *budgets) fellSilent(l *activeCarrier) {
	isFirst := !l.Live() && l.total() < l.cost+leastFreeze
	if isFirst || l.Spent() { // one that is spent has nothing to answer with
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.of(l.front)
	f.silent, f.at, f.exact = l, l.total(), l.gateway && l.brought != nil
}

// answered notes that the front has opened a connection: one that is silent froze, or rested for too
// long.
func (f *budget) answered() {
	l := f.silent
	if f.silent = nil; l == nil || !l.Doubted() {
		return
	}
	if rest, survived := l.Rested(time.Now()); wasRest(rest, survived) {
		f.rest.cut(rest, true)
	} else {
		f.freeze(f.at, true)
		f.since = l.began
	}
}

// infer notes that f has opened a connection while one by another front of the same door is silent that has brought
// little: that one froze, perhaps, and if it is the network that does so, f's may bring no more.
func (b *budgets) infer(f *budget, isGateway bool) {
	for _, o := range b.fronts {
		if o == f || o.silent == nil || o.silent.gateway != isGateway || o.at < leastFreeze || o.at > mostSuspect {
			continue
		}
		if o.answered(); o.limit > 0 && f.limit == 0 {
			f.limit, f.exact, f.alike, f.until = o.limit, o.exact, true, time.Now().Add(alikeFor)
		}
	}
}

// freeze learns from a carrier that had brought so much when it fell silent, unless it has said
// something since.
func (f *budget) freeze(at int, isSilent bool) {
	if !isSilent || at < leastFreeze || at > mostFreeze {
		return
	}
	before, now := f.frozen, time.Now()
	f.frozen = at
	switch {
	case before > 0 && max(before, at)-min(before, at) <= freezeSpread:
		f.know(before, at, now)
	case at <= mostSuspect && (f.limit == 0 || f.alike || at < f.limit):
		f.suspect(at, now)
	}
}

// suspect has carriers bring no more than one that froze, with a reserve, for a while: less than was known, too, as the
// network may have become worse.
func (f *budget) suspect(at int, now time.Time) {
	f.limit, f.known, f.alike, f.until = at*4/5, false, false, now.Add(suspected)
	if f.exact {
		f.limit = at - slack // so much has come
	}
}

// know notes what carriers bring that freeze, as two agree. What both have brought passes; the one that brought less lost a
// packet more, perhaps.
func (f *budget) know(one, other int, now time.Time) {
	f.limit, f.known, f.alike = min(one, other)-slack, true, false
	if !f.exact {
		f.limit = min(f.limit, max(one, other)*93/100-slack)
	}
	f.pause = min(max(2*f.pause, triedAfter), mostBelieved)
	f.until = now.Add(f.pause)
}

// agree has what is suspected of f be known if carriers by another front froze after as much: it is the network
// that freezes them.
func (b *budgets) agree(f *budget) {
	for _, o := range b.fronts {
		if o == f || f.limit == 0 || o.limit == 0 || o.exact != f.exact || max(f.frozen, o.frozen)-min(f.frozen, o.frozen) > freezeSpread {
			continue
		}
		for _, each := range []*budget{f, o} {
			if !each.known {
				each.know(f.frozen, o.frozen, time.Now())
			}
		}
	}
}

// areTight reports whether carriers by each front of the stream door may bring little, or by each front
// if there is no such one.
func (c *Client) areTight() (are bool) {
	hasStream := c.fronts.has(streamFront)
	for _, i := range c.fronts.inOrder() {
		if c.fronts.at(i).Gateway && hasStream {
			continue
		}
		if !c.budgets.isTight(i) {
			return false
		}
		are = true
	}
	return are
}

// passed notes how much l has brought: a budget that is exceeded by half is none, nor is what one
// brought that began earlier, and fell silent, a freeze.
func (b *budgets) passed(l *activeCarrier) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f := b.of(l.front); {
	case f.limit > 0 && isMore(l.total(), f.limit):
		*f = budget{answer: f.answer, minute: f.minute, rest: f.rest}
	case f.limit == 0 && l.began.After(f.since) && isMore(l.total(), f.frozen): // that one had another reason
		f.frozen = 0
	}
}

// isMore reports whether one carrier has brought so much more than another that no limit explains it.
func isMore(one, other int) bool { return one > other*3/2 }

// onSpending has another carrier take the place of one whose budget ends.
func (c *Client) onSpending(in *carrier.Carrier) {
	c.task(func() {
		l := c.pool.activeOf(in)
		if l == nil {
			return
		}
		c.budgets.passed(l)
		switch {
		case c.pool.onSpending(l):
		case !l.Spent():
			c.spread.wake()
		case l.Draining(): // its successor has taken over
			c.part(l)
		default:
			c.spread.spent(c, l)
		}
	})
}

// part ends a carrier whose budget is spent, once what is on its way to the origin has come.
func (c *Client) part(l *activeCarrier) {
	if l.parted.Swap(true) {
		return
	}
	l.Retire()
	over, every := time.Now().Add(partMost), partEvery
	tells := l.TellCame() // nothing is lost by what waits no longer
	if tells {
		every = partSoon
	}
	for ; ; every = min(2*every, partEvery) {
		dial.Sleep(c.running, every)
		if l.AllCame() && !(tells && l.Tells()) || l.EdgeAnswers(time.Until(over)) || l.Dead() || c.running.Err() != nil || time.Now().After(over) {
			break
		}
	}
	l.home.session.Part(l.Carrier)
}

const (
	// partEvery is longer than what has come takes to be said, and partSoon than what is said at once takes to go.
	partEvery = 40 * time.Millisecond
	partSoon  = 5 * time.Millisecond
	partMost  = 2 * time.Second
)
