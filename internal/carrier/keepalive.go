package carrier

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// How an end notices that a carrier fell silent. The client asks: while there
// is traffic it pings after quiet of pingActive and gives the answer the
// profile's PongWait, with CheckEvery 8.5 s together at the stream door; when
// all is idle it pings every pingIdle, less than the 60 s at which common CDNs
// cut. In between it pings ever more rarely where no stream waits for what its bytes asked for, every pingTalk for a while:
// the questions of thousands of clients would be most of what they cost. Where much
// has come and then nothing, perhaps because it is lost, it asks after pingBulk:
// whoever only takes is owed no answer. The origin waits, but at the gateway door asks for what it
// does not know to have come.
const (
	CheckEvery = time.Second
	pingActive = 2500 * time.Millisecond
	pingIdle   = 25 * time.Second
	activeFor  = 60 * time.Second
	// talkFor is how long people pause who talk: until then nothing rests for 5 s, which some CDN may cut, as a Check comes
	// within CheckEvery * 5/4 after pingTalk, or a little later where there is much to do.
	talkFor  = 15 * time.Second
	pingTalk = 3400 * time.Millisecond

	pingBulk = 400 * time.Millisecond
	muchCame = 4 << 10 // bytes since the peer was last asked
	// youngMost is what a carrier has brought at most that is asked while bytes come, too: networks that freeze
	// connections do so early.
	youngMost = 128 << 10
	// checkBulk is how often to Check while much has come within briskFor.
	checkBulk = CheckEvery / 8
	briskFor  = 2 * time.Second
)

// CheckIn is when a client is to Check its carriers next. It is never twice the same.
func (s *Set) CheckIn(now time.Time) time.Duration {
	every := CheckEvery
	if now.UnixNano()-s.brisk.Load() < int64(briskFor) {
		every = checkBulk
	}
	return every*3/4 + rand.N(every/2)
}

// A function has 29 s to hand a message on, so a message that is missing for
// longer is lost. A client asks before, and again after twice as long each time, as each question is paid for.
const (
	askOverdue = 15 * time.Second
	askAgain   = 5 * time.Second
	maxOverdue = 40 * time.Second
	askOfLast  = 30 * time.Second // an origin, when it does not know whether its last messages came
	slowLink   = 4 << 10          // bytes a second, at which they may be coming
)

// liveness is what a carrier knows of its peer's being there.
type liveness struct {
	lastRx   atomic.Int64  // when a message last came, Unix ns
	lastTx   atomic.Int64  // when a message last went, if messages are paid for
	rtt      atomic.Int64  // the shortest round trip seen, ns; 0: none yet
	pinged   atomic.Int64  // when the Ping under way was sent, Unix ns; 0: none is
	heard    atomic.Bool   // a record of the peer's has opened
	probing  atomic.Bool   // the edge was asked whether it is there
	standsBy atomic.Bool   // nobody uses it yet
	early    atomic.Int32  // by how many hundredths of its time the next question comes early
	echoed   atomic.Int64  // Pongs that Echo has asked for
	resting  atomic.Int64  // until when nothing is asked, Unix ns
	every    atomic.Int64  // how often to ask a carrier in use that is idle, ns; 0: as pingIdle says
	ponged   atomic.Int64  // when the edge last answered, Unix ns
	asked    atomic.Uint64 // bytes of records that had come when Check last asked
}

// hear notes that the peer has said something. A store for each record would cost more.
func (l *liveness) hear() {
	if !l.heard.Load() {
		l.heard.Store(true)
	}
}

// Ping sends a Ping; its answer updates RTT.
func (c *Carrier) Ping() {
	if c.alive.pinged.CompareAndSwap(0, time.Now().UnixNano()) {
		c.Put(wire.Frame{Kind: wire.Ping})
	}
}

// PingBeside is Ping with the next record, or soon.
func (c *Carrier) PingBeside() {
	if !c.alive.pinged.CompareAndSwap(0, time.Now().UnixNano()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return
	}
	c.askSoon()
}

// askSoon has a Ping go with the next record, or soon. c.mu is held.
func (c *Carrier) askSoon() {
	f := wire.Frame{Kind: wire.Ping}
	c.queue.control, c.queue.asks = f.Append(c.queue.control), true
	c.acks.within(c, wait(receivedWithin))
}

func (c *Carrier) pong(pos uint64) {
	if pos == echoMark {
		c.alive.echoed.Add(1)
		return
	}
	if pos == paceMark {
		c.answered()
		return
	}
	at := c.alive.pinged.Swap(0)
	if at == 0 {
		return
	}
	took := time.Now().UnixNano() - at
	if took <= 0 { // the clock was set back
		return
	}
	if c.profile.AsksEdge {
		c.edgeAnswered(time.Duration(took))
	}
	if old := c.alive.rtt.Load(); old == 0 || took < old {
		c.alive.rtt.Store(took)
	}
}

// RTT is the shortest round trip seen, 0 if none was measured yet.
func (c *Carrier) RTT() time.Duration { return time.Duration(c.alive.rtt.Load()) }

// Heard reports whether the peer has said anything at all.
func (c *Carrier) Heard() bool { return c.alive.heard.Load() }

// Quiet is for how long nothing has come.
func (c *Carrier) Quiet(now time.Time) time.Duration {
	quiet := now.UnixNano() - c.alive.lastRx.Load()
	if quiet < 0 { // the clock was set back
		c.alive.lastRx.Store(now.UnixNano())
		return 0
	}
	return time.Duration(quiet)
}

// Check is the client's keep-alive, to be called as CheckIn says: it pings when
// it is time to and ends the carrier when an answer stays out.
func (c *Carrier) Check(now time.Time) {
	if now.UnixNano() < c.alive.resting.Load() {
		return
	}
	switch at := c.alive.pinged.Load(); {
	case at != 0:
		c.awaitPong(now, at)
		if !c.profile.AsksEdge { // which may have fallen silent meanwhile
			return
		}
	case c.profile.Messages && c.messages.asksAfter(c.overdue(now)):
		c.Ping()
		return
	}
	c.keep(now)
	brought := c.hasBrought()
	if brought || c.profile.AsksEdge && now.Sub(c.set.active()) < briskFor {
		c.set.brisk.Store(now.UnixNano())
	}
	if c.Quiet(now) >= c.askAfter(now, brought) {
		c.ask()
	}
}

// awaitPong ends the carrier if the answer to the Ping that was sent then stays out, and all else. What the
// edge says is no word of the peer's; what has come and was not read may be one.
func (c *Carrier) awaitPong(now time.Time, at int64) {
	quiet, wait := c.Quiet(now), c.pongWait()
	if c.profile.AsksEdge {
		quiet = min(c.peerQuiet(now), max(quiet, c.peerQuiet(now)-maxBefore*c.transport.Lag()))
	}
	if now.UnixNano() < at { // the clock was set back
		c.alive.pinged.Store(now.UnixNano())
	} else if now.UnixNano()-at >= int64(wait) && quiet >= wait && !c.transport.Unread() {
		c.CloseFor(Silent)
	}
}

// peerQuiet is for how long no record has come.
func (c *Carrier) peerQuiet(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in.at == 0 {
		return pingIdle
	}
	return now.Sub(started.Add(c.in.at))
}

// StandBy says whether a client's carrier waits to take over from another: each Pong would take a
// part of its budget.
func (c *Carrier) StandBy(yes bool) { c.alive.standsBy.Store(yes) }

// KeepEvery has a client's carrier asked at least so often while tunnels use it, as the network cuts
// one that rests for longer; 0: as others are.
func (c *Carrier) KeepEvery(d time.Duration) { c.alive.every.Store(int64(d)) }

// idleLimit is how long the carrier may be quiet when all is.
func (c *Carrier) idleLimit() time.Duration {
	if every := time.Duration(c.alive.every.Load()); every > 0 && every < pingIdle && c.Load() > 0 {
		return every
	}
	return pingIdle
}

// askAfter is after how much quiet the peer is asked, if the carrier has brought much since.
func (c *Carrier) askAfter(now time.Time, brought bool) time.Duration {
	limit := c.idleLimit()
	if age := now.Sub(c.set.active()); age < activeFor && !c.alive.standsBy.Load() {
		limit = min(limit, c.activeLimit(age))
	}
	early := time.Duration(c.alive.early.Load())
	if limit > pingActive && limit <= pingTalk {
		early /= 2
	}
	limit -= limit * early / 100
	if brought && !c.alive.standsBy.Load() {
		limit = max(pingBulk, 2*c.RTT())
	}
	return limit
}

// activeLimit is how long the carrier may be quiet when bytes moved that long ago: the longer ago, the
// longer, but only a little for a while. Where a stream's bytes have gone and none have come since, somebody waits for those, and only a carrier that has
// outlived a rest is asked more rarely: nobody on its way cuts it in half of that rest.
func (c *Carrier) activeLimit(ago time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.in.awaited || c.profile.AsksEdge:
		ago = min(ago*2/3, c.doubt.longRest/2)
	case ago < talkFor:
		ago = min(ago, pingTalk)
	}
	return max(pingActive, ago)
}

// hasBrought reports whether much has come since the peer was last asked, or, where the edge is, a part of
// a message and not its end.
func (c *Carrier) hasBrought() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in.bytes-c.alive.asked.Load() >= muchCame {
		return true
	}
	var came int64
	if c.in.at != 0 {
		came = started.Add(c.in.at).UnixNano()
	}
	return c.profile.AsksEdge && c.alive.lastRx.Load() > max(came, c.alive.ponged.Load(), c.alive.pinged.Load())
}

// isYoung reports whether a client's carrier of the stream door has brought so little that it may freeze yet. One with
// a budget ends before. c.mu is held.
func (c *Carrier) isYoung() bool {
	return c.set.asks && !c.profile.Messages && c.path.budget == 0 && c.in.bytes <= youngMost
}

// isFlowing reports whether bytes come by a young carrier now. c.mu is held.
func (c *Carrier) isFlowing(now time.Time) bool {
	return c.isYoung() && c.in.bytes >= muchCame && now.UnixNano()-c.alive.lastRx.Load() < int64(pingBulk/2)
}

// askWhileYoung has a Ping go soon if much has come by a young carrier since the last: when it freezes, an answer is
// owed. c.mu is held.
func (c *Carrier) askWhileYoung() {
	if !c.isYoung() || c.in.bytes-c.alive.asked.Load() < muchCame || !c.alive.pinged.CompareAndSwap(0, time.Now().UnixNano()) {
		return
	}
	c.alive.asked.Store(c.in.bytes)
	c.askSoon()
}

// mostEarly is how early a question may come, by chance: those of many clients whose
// carriers were made at once, or of one client's, are not asked at once for ever.
const mostEarly = 40

// ask is a Ping, or less if that suffices.
func (c *Carrier) ask() {
	c.mu.Lock()
	c.alive.asked.Store(c.in.bytes)
	c.noteRest(time.Now())
	c.mu.Unlock()
	c.alive.early.Store(rand.N[int32](mostEarly))
	if !c.profile.AsksEdge {
		c.Ping()
		return
	}
	c.awaitEdge()
	if c.alive.probing.CompareAndSwap(false, true) {
		c.set.tasks.Go(c.probe)
	}
}

func (c *Carrier) probe() {
	defer c.alive.probing.Store(false)
	began := time.Now()
	if c.transport.Probe() == nil {
		now := time.Now().UnixNano()
		c.alive.ponged.Store(now)
		c.alive.lastRx.Store(now)
		c.edgeAnswered(time.Since(began))
		c.countPong()
	} else if c.Quiet(time.Now()) >= transport.ProbeLimit {
		c.CloseFor(Silent)
	}
}

// keep sends what needs no answer when nothing else was sent for long.
func (c *Carrier) keep(now time.Time) {
	every, idle := c.profile.Keep, time.Duration(now.UnixNano()-c.alive.lastTx.Load())
	every -= every * time.Duration(c.alive.early.Load()) / 200 // half as early, as it is paid for
	if every > 0 && (idle >= every || idle < 0) {              // below 0 the clock was set back
		c.Put(wire.Frame{Kind: wire.Pong})
	}
}

// askWhatCame has an origin ask when nobody else would notice that its last messages are lost: a client
// that has an answer to all it has said does not know of them.
func (c *Carrier) askWhatCame(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	unheard := c.out.sent - c.out.confirmed
	if c.messages.shouldAsk(now, c.Quiet(now), askOfLast+time.Duration(unheard/slowLink)*time.Second) {
		f := wire.Frame{Kind: wire.Ping} // it is no doubt: the client may sleep
		c.queue.control = f.Append(c.queue.control)
		c.kick()
	}
}

// overdue is for how long a message has been missing.
func (c *Carrier) overdue(now time.Time) time.Duration {
	if !c.profile.Messages {
		return 0
	}
	return c.messages.overdue(now, c.set.asks, c.transport.Lag())
}
