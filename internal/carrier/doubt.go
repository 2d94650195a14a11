package carrier

import (
	"time"

	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// doubt tells a carrier that is silent from one that is slow. At the stream door the peer owes
// an answer within 450 ms to bytes of a stream and to a Ping; at the gateway door the client owes
// one to a message that asks what has come, and the edge to the client that asks it. A client
// goes on by another then; an origin sends no more bulk, and has others not wait for what may be
// lost. Carrier.mu guards it.
type doubt struct {
	owed  time.Time   // since when an answer is owed, or when some of it came last; zero: none is
	upto  uint64      // bytes of records, of which the last that asks for an answer is the end
	timer tasks.Timer // until the carrier is doubted, perhaps; zero: none runs
	at    Instant     // when that is
	answers
	repeats  int32         // origin, gateway door: how often it was asked anew since more was counted
	flows    bool          // client: what is owed was to come with what flows
	rest     time.Duration // for which nothing had moved when what is owed was asked for
	longRest time.Duration // the longest after which an answer has come
	opening  time.Duration // client: the least patience until an answer has come; 0 then
}

// answers is how long answers took.
type answers struct {
	average time.Duration
	varies  time.Duration    // RFC 6298
	longest [2]time.Duration // those of this minute and the one before
	minute  Instant          // when this minute began
	boosts  int              // how often a doubt was wrong
	wrongAt Instant          // when one was last
}

// answersFor is how long it is remembered what answers took by a carrier that brings none any more.
const answersFor = 2 * time.Minute

// Inherit has a new carrier of a client's know how long answers took by another, which takes the same path. Where none
// ever came, it waits for twice as long: more connections bring no more there.
func (c *Carrier) Inherit(from *Carrier) {
	from.mu.Lock()
	known, opening := from.doubt.answers, from.doubt.opening
	from.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.doubt.average > 0:
	case known.minute.Until(time.Now()) < answersFor:
		c.doubt.answers = known
	case !from.Heard() && (from.Doubted() || from.Dead()):
		c.doubt.opening = min(max(2*doubtFirst, 2*opening, c.doubt.opening), doubtMost)
	}
}

const (
	doubtLeast = time.Second
	// doubtFlowing and flowingTrips are doubtLeast where what flows stops: a packet that is lost alone comes again
	// within three round trips and a fifth of a second.
	doubtFlowing = 750 * time.Millisecond
	flowingTrips = 4
	doubtFirst   = 3 * time.Second // before any answer has come
	doubtMost    = 10 * time.Second
	maxBoosts    = 2
	boostFor     = 2 * time.Minute
	// unreadFor is how long what has come may wait to be read until that is looked at again.
	unreadFor = 100 * time.Millisecond
	// mostRepeats is how often an origin asks anew, and pays for it, a client that says something but not what
	// has come.
	mostRepeats = 8
)

// patience is how long the peer may be silent that owes an answer, if that is least at least.
func (d *doubt) patience(least time.Duration, now time.Time) time.Duration {
	varies := 4 * d.varies
	if d.flows { // answers come all the time
		varies /= 2
	}
	least = max(least, d.opening, d.average+varies, max(d.longest[0], d.longest[1])*3/2)
	if d.average == 0 {
		least = max(doubtFirst, d.opening)
	}
	if d.wrongAt.Until(now) < boostFor {
		least <<= d.boosts
	}
	return min(least, doubtMost)
}

// OpenedIn says how long it took a client to open the carrier: its first answer may take as long where a front has much
// to do, and another carrier would be one more thing.
func (c *Carrier) OpenedIn(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubt.opening = min(d, doubtMost)
}

// pongWait is how long the answer to a Ping may take; for the first, longer than until the carrier is in doubt.
func (c *Carrier) pongWait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.profile.PongWait, c.doubt.opening*3/2)
}

// leftOfPatience is for how much longer the peer may be silent. c.mu is held.
func (c *Carrier) leftOfPatience(now time.Time) time.Duration {
	d, least := &c.doubt, doubtLeast
	if trip := c.RTT(); d.flows && trip > 0 {
		least = min(max(flowingTrips*trip, doubtFlowing), doubtLeast)
	}
	since := d.owed
	if heard := time.Unix(0, c.alive.lastRx.Load()); heard.After(since) {
		since = heard
	}
	return d.patience(least, now) - now.Sub(since)
}

// learn takes how long an answer took.
func (d *doubt) learn(now time.Time, took time.Duration) {
	if d.minute.Until(now) > time.Minute {
		d.longest[1], d.longest[0], d.minute = d.longest[0], 0, InstantOf(now)
	}
	d.longest[0], d.opening = max(d.longest[0], took), 0
	if d.average == 0 {
		d.average, d.varies = took, took/2
		return
	}
	d.varies += ((took - d.average).Abs() - d.varies) / 4
	d.average += (took - d.average) / 8
}

// wrong notes that a carrier in doubt has answered.
func (d *doubt) wrong(now time.Time) {
	if d.wrongAt.Until(now) >= boostFor {
		d.boosts = 0
	}
	d.boosts, d.wrongAt = min(d.boosts+1, maxBoosts), InstantOf(now)
}

// Doubted reports whether the peer owes an answer for so long that it may never come. Whoever
// takes frames elsewhere may be wrong: the carrier lives, and may answer yet.
func (c *Carrier) Doubted() bool { return c.doubted.Load() }

// owe notes that the record that goes now asks for an answer. c.mu is held.
func (c *Carrier) owe(now time.Time) {
	d := &c.doubt
	if c.asksEdge() {
		return
	}
	d.upto = c.out.sent
	if d.owed.IsZero() {
		d.owed, d.rest = now, c.rested(now)
		d.flows = c.isFlowing(now)
	}
	if d.repeats == 0 {
		c.suspectIn(now, c.leftOfPatience(now))
	}
}

// askAgain asks the peer of an origin's carrier of the gateway door anew: the answer may be lost, which nobody else
// would notice. One that answers nothing, or all but this, is given up. c.mu is held.
func (c *Carrier) askAgain(now time.Time) {
	d := &c.doubt
	isSilent := now.Sub(d.owed) > maxOverdue && now.UnixNano()-c.alive.lastRx.Load() > int64(maxOverdue)
	if isSilent || d.repeats >= mostRepeats {
		c.set.tasks.Go(func() { c.CloseFor(Silent) })
		return
	}
	d.repeats++
	c.askPace()
	c.kick()
	c.suspectIn(now, min(d.patience(doubtLeast, now)<<d.repeats, doubtMost))
}

// askPace has the next message ask what has come, unless one that has not gone does. c.mu is held.
func (c *Carrier) askPace() {
	if c.queue.asks = true; !asksPace(c.queue.control) {
		f := wire.Frame{Kind: wire.Ping, Pos: paceMark}
		c.queue.control = f.Append(c.queue.control)
	}
}

// asksPace reports whether there is a Ping among frames that asks what has come.
func asksPace(b []byte) bool {
	for f := range eachFrame(b) {
		if f.Kind == wire.Ping && f.Pos == paceMark {
			return true
		}
	}
	return false
}

// suspectIn has suspect called in time: sooner than it would be, perhaps, as the patience of
// then was that of a carrier on which nothing had come. c.mu is held.
func (c *Carrier) suspectIn(now time.Time, within time.Duration) {
	d := &c.doubt
	switch at := InstantOf(now.Add(within)); {
	case c.dead.Load(), c.doubted.Load() && !c.profile.Messages:
		return
	case d.timer.IsZero():
		d.timer, d.at = c.set.tasks.AfterFunc(within, c.suspect), at
	case at < d.at:
		d.timer.Reset(within)
		d.at = at
	}
}

// suspect doubts the carrier if the peer has been silent for too long. What has come is read late where the machine has
// much to do, or has slept: another carrier would be one more thing, and is no answer.
func (c *Carrier) suspect() {
	c.mu.Lock()
	d, now := &c.doubt, time.Now()
	d.timer = tasks.Timer{}
	if d.owed.IsZero() || c.dead.Load() || c.doubted.Load() && !c.profile.Messages {
		c.mu.Unlock()
		return
	}
	left := c.leftOfPatience(now)
	if left <= 0 && c.transport.Unread() {
		left = unreadFor
	}
	if left > 0 {
		c.suspectIn(now, left)
		c.mu.Unlock()
		return
	}
	c.doubted.Store(true)
	if c.profile.Messages {
		c.askAgain(now)
	}
	c.mu.Unlock()
	c.tellDoubted()
}

// tellDoubted has others not wait for what the carrier has in flight, and a client go on by another.
func (c *Carrier) tellDoubted() {
	c.doubtLane()
	if c.set.asks {
		c.Handler().Doubted(c)
	}
}

// Suspect tells an origin's carrier whether it may have died, as its client has gone on by another.
// It is trusted, too, when the client says that something has come by it. So one that owes no answer is
// not suspected: none would come, and others may go by it. One that is trusted, and owes one, is doubted again where that
// stays out, though no other is asked for.
func (c *Carrier) Suspect(yes bool) {
	c.mu.Lock()
	owes := !c.doubt.owed.IsZero()
	if !yes || owes {
		c.doubted.Store(yes)
	}
	if now := time.Now(); !yes && owes && c.doubt.repeats == 0 {
		c.suspectIn(now, c.leftOfPatience(now))
	}
	lane := c.path.lane
	c.mu.Unlock()
	if yes && owes && lane != nil {
		lane.Stall()
	}
	c.doubtLane()
}

// doubtLane tells the lane whether the carrier is in doubt, as whoever said so last has it.
func (c *Carrier) doubtLane() {
	c.mu.Lock()
	lane := c.path.lane
	c.mu.Unlock()
	if lane == nil {
		return
	}
	for yes := c.doubted.Load(); ; yes = !yes {
		lane.Doubt(yes)
		if c.doubted.Load() == yes {
			return
		}
	}
}

// settle takes a count of what has come to the peer, which is an answer, and to one that asked anew if it is
// news. c.mu is held. It reports whether the carrier was in doubt.
func (c *Carrier) settle(n uint64, isNews bool, now time.Time) (trusted bool) {
	d := &c.doubt
	if trusted = c.doubted.Load() && c.doubted.Swap(false); trusted {
		d.wrong(now)
	}
	if isNews {
		d.repeats = 0
	}
	if d.owed.IsZero() {
		return trusted
	}
	d.learn(now, now.Sub(d.owed))
	d.longRest, d.rest = max(d.longRest, d.rest), 0
	if d.owed = now; n >= d.upto {
		d.owed = time.Time{}
		return trusted
	}
	d.flows = c.set.asks && !c.profile.Messages
	c.suspectIn(now, c.leftOfPatience(now))
	return trusted
}

// rested is for how long nothing has moved. c.mu is held.
func (c *Carrier) rested(now time.Time) time.Duration {
	at := max(c.alive.lastRx.Load(), c.out.at)
	return max(time.Duration(now.UnixNano()-at), 0)
}

// Rested is for how long nothing had moved on a carrier when what its peer, or the edge, owes an answer to
// was sent; or has not, if it owes none. survived is the longest such rest after which an
// answer came. Networks forget connections that rest.
func (c *Carrier) Rested(now time.Time) (rest, survived time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.doubt.owed.IsZero() {
		return c.rested(now), c.doubt.longRest
	}
	return c.doubt.rest, c.doubt.longRest
}
