package client

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"culvert/client/front"
	"culvert/client/kept"
	"culvert/internal/dial"
)

// minuteLimit is how many connections to a front may begin within a minute: a network may drop
// those beyond. It is suspected when one fails soon after others have succeeded. It is known once the
// next succeeds for which there is room, where each brings little: a front that is down does not wait
// for that. Elsewhere, where few are needed, another has to fail after as many: a bad network is none.
type minuteLimit struct {
	begun  []time.Time   // when those of the last two minutes were opened
	unsure []time.Time   // when dials were given up of which nobody knows whether they began one
	limit  int           // 0: it is not known
	before int           // the one that was suspected before, and after which one succeeded; 0: none
	known  bool          // else it is suspected
	until  time.Time     // when bulk may try for more, or what is suspected is forgotten
	pause  time.Duration // how long limit was believed the last time
	raised bool          // one more than was believed has passed, since the last that failed
}

const (
	// aMinute is one, with what a path that swells may be off by: either way.
	aMinute, lessThanMinute = 61 * time.Second, 55 * time.Second
	// leastMinute and mostMinute bound what is thought to be limited by design.
	leastMinute, mostMinute = 2, 60
	// believed is for how long a limit is kept at first.
	believed = 10 * time.Minute
	// roomAtMost is how long a front that opens no connection is not tried beside another.
	roomAtMost = 3 * time.Second
	// chatConnections are left to chat at least, of those of a minute.
	chatConnections = 2
)

// since is how many have begun since then.
func (m *minuteLimit) since(at time.Time) int { return countAfter(m.begun, at) }

// perhapsSince is how many may have: what the network let in as its dial was given up, it has counted.
func (m *minuteLimit) perhapsSince(at time.Time) int { return m.since(at) + countAfter(m.unsure, at) }

func countAfter(all []time.Time, at time.Time) (n int) {
	for _, b := range all {
		if b.After(at) {
			n++
		}
	}
	return n
}

// most is how many may begin within a minute; 0: nothing bounds them. Bulk tries for half as many
// more from time to time.
func (m *minuteLimit) most(now time.Time, isBulk bool) int {
	if m.limit > 0 && !m.known && now.After(m.until) {
		m.limit = 0
	}
	if isBulk && m.known && now.After(m.until) {
		return m.limit + max(m.limit/2, 1)
	}
	return m.limit
}

// left is how many more may begin now, of so many: surely so for bulk, which is to leave chat some.
func (m *minuteLimit) left(now time.Time, most int, isBulk bool) int {
	from := now.Add(-aMinute)
	switch {
	case most == 0:
		return mostMinute
	case isBulk:
		return max(most-m.perhapsSince(from), 0)
	}
	return max(most-m.since(from), 0)
}

// gaveUp notes that a connection may have been opened, which nobody waits for.
func (m *minuteLimit) gaveUp(now time.Time) { m.unsure = appendLate(m.unsure, now) }

// appendLate adds a time to those of the last two minutes.
func appendLate(all []time.Time, now time.Time) []time.Time {
	all = slices.DeleteFunc(all, func(at time.Time) bool { return now.Sub(at) > 2*time.Minute })
	if len(all) < 4*mostMinute {
		all = append(all, now)
	}
	return all
}

// opened notes a connection. One beyond the limit shows that it is higher, as nobody sees each that the network
// counts, and a second one that there is none.
func (m *minuteLimit) opened(now time.Time, areTight bool) {
	m.begun = appendLate(m.begun, now)
	switch {
	case m.limit == 0:
	case m.since(now.Add(-lessThanMinute)) > m.limit && !m.raised:
		m.limit, m.raised = m.since(now.Add(-lessThanMinute)), true
	case m.since(now.Add(-lessThanMinute)) > m.limit:
		m.limit, m.before, m.known, m.pause, m.raised = 0, 0, false, 0, false
	case m.known:
	case areTight:
		m.believe(now)
	default:
		m.before = m.limit
	}
}

func (m *minuteLimit) believe(now time.Time) {
	m.known, m.pause = true, min(max(2*m.pause, believed), mostBelieved)
	m.until = now.Add(m.pause)
}

// failed notes that nothing came of a connection that was begun then.
func (m *minuteLimit) failed(began, now time.Time) {
	switch n := m.since(began.Add(-time.Minute)); {
	case n < leastMinute || n > mostMinute:
	case m.limit == 0 || n < m.limit:
		m.limit, m.known, m.raised, m.until = n, false, false, now.Add(suspected)
		if max(n, m.before)-min(n, m.before) <= 1 {
			m.believe(now)
		}
	case m.known && now.After(m.until): // bulk tried for more
		m.believe(now)
	}
}

// recall has what was kept be known.
func (m *minuteLimit) recall(k kept.Front) {
	if k.Minute < leastMinute || k.Minute > mostMinute {
		return
	}
	m.limit, m.known = k.Minute, true
	m.pause, m.until = recallPause(believed, k.MinutePause, k.MinuteUntil)
}

// hasBegun is told that a front has opened a connection.
func (b *budgets) hasBegun(front int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.of(front)
	f.minute.opened(time.Now(), f.limit > 0)
}

// gaveUp is told that a dial of a front was given up before anybody knew whether it has a connection, or as it had one.
func (b *budgets) gaveUp(front int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(front).minute.gaveUp(time.Now())
}

// hasFailed is told that nothing came of one that was begun then.
func (b *budgets) hasFailed(front int, began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of(front).minute.failed(began, time.Now())
}

// connections is what is left of those that the fronts may begin within a minute, of how many; and
// whether those of all fronts are counted.
func (b *budgets) connections(fronts []int, isBulk bool) (left, limit int, areCounted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for _, i := range fronts {
		m := &b.of(i).minute
		most := m.most(now, isBulk)
		if most == 0 {
			return mostMinute, mostMinute, false
		}
		left, limit = left+m.left(now, most, isBulk), limit+most
	}
	return left, limit, len(fronts) > 0
}

// roomIn is how long it takes until a front surely may open a connection.
func (b *budgets) roomIn(front int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, now := &b.of(front).minute, time.Now()
	most := m.most(now, false)
	if m.left(now, most, true) > 0 {
		return 0
	}
	all := slices.Concat(m.begun, m.unsure)
	slices.SortFunc(all, time.Time.Compare)
	return max(all[len(all)-most].Add(aMinute).Sub(now), 0)
}

// roomLook is how often a front that has no room is looked at.
const roomLook = 50 * time.Millisecond

// awaitRoomAt returns once a front may open a connection, but no later than nothing else is tried any more, or roomAtMost
// has passed. What the network drops is sent again: if it is let in as another front answers it is lost to chat.
func (c *Client) awaitRoomAt(ctx context.Context, front int, tried *atomic.Int32) {
	for over := time.Now().Add(roomAtMost); time.Now().Before(over) && tried.Load() > 0 && c.budgets.roomIn(front) > 0; {
		if !dial.Sleep(ctx, roomLook) {
			return
		}
	}
}

// streamFronts are those of the stream door.
func (c *Client) streamFronts() (all []int) {
	for _, i := range c.fronts.inOrder() {
		if !c.fronts.at(i).Gateway {
			all = append(all, i)
		}
	}
	return all
}

// mayDialBulk reports whether bulk, which has begun so many connections within the last minute, may
// begin another: as many as chat uses, and two at least, are left to it, each in time.
func (c *Client) mayDialBulk(begun int) bool {
	fronts, now := c.streamFronts(), time.Now()
	left, limit, areCounted := c.budgets.connections(fronts, true)
	if !areCounted {
		return true
	}
	lasts := c.pool.chatLasts(now)
	return left >= chatConnections && begun < limit-max(chatConnections, usesOf(lasts)) && c.budgets.suffices(fronts, lasts, now)
}

// suffices reports whether what the fronts may begin is enough for chat, of which each connection lasts so long,
// though bulk begins one now: the next has to begin at once, perhaps.
func (b *budgets) suffices(fronts []int, lasts time.Duration, now time.Time) bool {
	if lasts == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	needed := 1 + 1 // bulk's, and chat's next
	for after := time.Duration(0); after < aMinute; after += lasts {
		may := 0
		for _, i := range fronts {
			m := &b.of(i).minute
			may += m.most(now, true) - m.perhapsSince(now.Add(after-aMinute))
		}
		if may < needed {
			return false
		}
		needed++
	}
	return true
}

// learnMinute takes how an attempt at a front failed that was begun then. One that came as far as asking for a
// WebSocket had a connection.
func (c *Client) learnMinute(ctx context.Context, i int, began time.Time, err error) {
	var failed *front.Error
	switch s := front.SymptomOf(err); {
	case errors.As(err, &failed) && failed.Step() == front.StepUpgrade:
	case !failedItself(ctx, err) && !errors.Is(ctx.Err(), context.DeadlineExceeded):
	case s == front.Silence, s == front.Cut:
		c.budgets.hasFailed(i, began)
	}
}
