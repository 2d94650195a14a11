// Package pace holds back what is sent over a path, so that the queue on it stays short and
// whoever has little to say is not kept waiting. It knows neither carriers nor frames: it is
// told when bytes are sent and how many have come, and says how many more may go.
//
// The law is a delay-based congestion control like TCP Vegas and Copa. Its measure is the
// peer's count of the bytes that came, with the peer's clock: what is written to a socket and
// what an app has read say nothing of the path.
package pace

import (
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// first is the window of a new path, and what a new lane may have in flight: TCP's ten
	// segments (RFC 6928).
	first = 14 << 10
	// leastFrame and mostFrame bound a frame, firstFrame is one while no rate is known: one
	// segment.
	leastFrame, mostFrame, firstFrame = 2 << 10, 64 << 10, 1400
	frameTime                         = 5 * time.Millisecond // what a frame takes on the path
	// briefFrame is what a frame of a brief lane has at least where that takes no longer than briefTime.
	briefFrame = 4 << 10
	briefTime  = 128 * time.Millisecond
	// leastQueue is the standing queue that is aimed at on a short path; on others a quarter
	// of a round trip.
	leastQueue = 20 * time.Millisecond
	// startQueue stops no slow start.
	startQueue = 50 * time.Millisecond
	// startGrowth is how many bytes more may be in flight for each that has come in slow start
	// while nothing queues: the window is four times as large a round trip later. TCP's, below, doubles.
	startGrowth = 3
	// slowRate, in bytes a second, is that of a path on which frames go one after another. They do so a little faster
	// than the path takes them, or, while nothing queues, much faster: the window is what holds them back. mostTurn is
	// the longest from one to the next, whatever rate a peer tells of.
	slowRate            = 100 << 10
	fullGain, emptyGain = 1.1, 2.0
	mostTurn            = time.Second
	// messageTime is what a message that is paid for takes on the path, if it is not less than
	// leastFrame; firstMessage is one while no rate is known.
	messageTime  = 250 * time.Millisecond
	firstMessage = 12 << 10
	// messageGrowth is startGrowth where messages are paid for and so is each that says what has come;
	// messageQueue is the queue in which it is one.
	messageGrowth = 16
	messageQueue  = 250 * time.Millisecond
	// mostLoop is how long what says that messages came may wait, at most, as far as the window makes up for it.
	mostLoop = 1500 * time.Millisecond
	// quietTime is what one may take where nobody has talked within talkFor, and quietMessage what it then has at
	// least if that takes no longer: about one part, by which it is paid.
	quietTime    = 4 * time.Second
	talkFor      = time.Minute
	quietMessage = 27 << 10
	// messageSample is the least of which a rate is taken where a message is alone, as a rule.
	messageSample = 4 << 10
	// little is what a carrier passes at least that passes everything.
	little = 64 << 10
	// stallPart is which part of what a lane has passed, which may have frozen then, others begin with.
	stallPart = 8
	// mostQueue is how long nothing waits on a path: the clock is another's, of an origin that has begun anew.
	mostQueue = 20 * time.Second
	// baseFor is how long the least one-way time is believed.
	baseFor = 50 * time.Second
	// restAfter is how long nothing moves before what was learned is forgotten but for restSize.
	restAfter = time.Minute
	restSize  = 64 << 10
	// trips is for how many round trips a rate counts, and leastMemory for how long at least.
	trips       = 8
	leastMemory = 300 * time.Millisecond
	// mostRates bounds what a peer that lies about its clock has us remember.
	mostRates = 64
	// tripGuess is a round trip before any is known.
	tripGuess = 300 * time.Millisecond
)

// ErrCount is returned for a peer's count that is impossible: of more than was sent.
var ErrCount = errors.New("more came than was sent")

// Window is what may be in flight on a path in one direction, over all of its lanes. Those
// that come later begin with what was learned: a window of each lane's own would take the
// queue that all of them have made for the path's length. It may be used by many goroutines.
type Window struct {
	mu     sync.Mutex // guards the following
	size   float64    // bytes that may be in flight
	fly    int64      // bytes that are, of lanes that are not in doubt
	sent   uint64     // bytes in all
	came   uint64     // of those, what has come
	cameAt clock      // when it last did, by the peer

	trip    time.Duration // the shortest round trip
	base    clock         // the least one-way time, of two clocks that have nothing in common
	based   bool
	baseAt  time.Time // when it was last seen
	rates   []rate    // falling, each younger than the one before: the first is the highest
	start   bool      // slow start has not ended
	last    float64   // the rate a round trip ago
	least   time.Duration
	seen    bool          // least is of this round trip
	loop    time.Duration // the shortest of this one, without the queue: what says that bytes came may wait, too
	moved   time.Time     // when bulk was last sent
	talked  time.Time     // when something was that somebody waits for
	turns   turns         // of frames, on a slow path
	quiet   bool          // nothing of the kind was of late
	limited bool          // the window held something back in this round trip
	filled  bool          // it did in the one before
	most    int64         // messages: what one has by a lane that has passed little, as larger ones were lost; 0: any
	paid    bool          // messages are paid for, and counted seldom
	turn    uint64
	lanes   []*Lane
}

// turns are the times of frames that go one after another.
type turns struct {
	next   time.Time     // of the frame after those that have one
	queued time.Duration // how long what was counted last waited
}

// take is the time of a frame, which others wait for.
func (t *turns) take(now time.Time, others time.Duration) time.Time {
	due := now
	if t.next.After(now) {
		due = t.next
	}
	t.next = due.Add(others)
	return due
}

// clock is a time of the peer's, or a difference of such a time and ours, in microseconds.
type clock = int64

// mostClock keeps differences of clocks far from overflow.
const mostClock = 1 << 61

// micros is a difference as a time: no longer than an hour, whatever the peer's clock does.
func micros(d clock) time.Duration { return time.Duration(min(d, 3600e6)) * time.Microsecond }

// rate is one delivery rate, in bytes a second, and when it was measured.
type rate struct {
	at    time.Time
	value float64
}

// New makes the window of a path whose shortest round trip is known, or 0.
func New(trip time.Duration) *Window {
	if trip <= 0 {
		trip = tripGuess
	}
	return &Window{size: first, trip: trip, start: true}
}

// frame is how many bytes one frame should have: few milliseconds' worth.
func (w *Window) frame() float64 {
	if len(w.rates) == 0 {
		return firstFrame
	}
	return min(max(w.rate()*frameTime.Seconds(), leastFrame), mostFrame, w.size/2)
}

// Message is how many bytes one message should have where they are paid for: no more than whole.
func (w *Window) Message(whole int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int(w.message(int64(whole)))
}

// message is how many bytes a message has that is paid for, and holds no more than whole.
func (w *Window) message(whole int64) int64 {
	if len(w.rates) == 0 {
		return min(firstMessage, whole)
	}
	most := max(int64(w.rate()*messageTime.Seconds()), leastFrame)
	if w.quiet {
		most = max(most, min(int64(w.rate()*quietTime.Seconds()), quietMessage))
	}
	return min(most, whole)
}

// Talk notes that something goes that is small and that somebody waits for: messages of bulk are to be short.
func (w *Window) Talk(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.talked, w.quiet = now, false
}

// Rate is how many bytes a second the path has carried of late; 0 if that is not known.
func (w *Window) Rate() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rate()
}

func (w *Window) rate() float64 {
	if len(w.rates) == 0 {
		return 0
	}
	return w.rates[0].value
}

// Wait is how long what is in flight takes to pass, about. While nothing has been counted, that is the first of each
// lane, of which all but one may be lost.
func (w *Window) Wait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	rate, fly := w.rate(), w.fly
	if rate == 0 {
		rate, fly = unknownRate, 0
		for _, l := range w.lanes {
			if !l.doubted {
				fly = max(fly, l.fly)
			}
		}
	}
	return time.Duration(float64(fly) / rate * float64(time.Second))
}

// unknownRate is the bytes a second of a path of which no rate is known: it may be slow.
const unknownRate = 8 << 10

// rest forgets what was learned when no bulk has moved for long: the path may be another. What little is in
// flight then keeps nothing: the peer may not say of it that it came before it has something to say.
func (w *Window) rest(now time.Time) {
	if w.fly >= leastFrame || now.Sub(w.moved) < restAfter || w.moved.IsZero() {
		return
	}
	w.size, w.start, w.based, w.rates, w.last = max(first, min(w.size, restSize)), true, false, nil, 0
	w.trip = max(w.trip, tripGuess)
}

// aim is the standing queue that the window grows to.
func (w *Window) aim() time.Duration { return max(leastQueue, w.trip/4) }

// remember takes a delivery rate. Of those that are lower and older none can be the highest
// any more.
func (w *Window) remember(now time.Time, value float64) {
	keep := now.Add(-max(leastMemory, trips*w.trip))
	w.rates = slices.DeleteFunc(w.rates, func(r rate) bool { return r.value <= value || r.at.Before(keep) })
	if len(w.rates) == mostRates {
		w.rates = w.rates[:mostRates-1]
	}
	w.rates = append(w.rates, rate{now, value})
}

// learn takes what a count says: bytes more have come, the last of them by p and the
// most of them by large.
func (w *Window) learn(now time.Time, at clock, bytes int64, p, large *packet, isMessage bool) {
	w.paid = isMessage
	w.trip = min(w.trip, max(now.Sub(p.sent), time.Microsecond))
	q := w.waited(now, at, p)
	slow := q
	w.turns.queued = q
	if loop := min(now.Sub(p.sent)-q, w.trip+mostLoop); w.loop == 0 || loop < w.loop {
		w.loop = loop
	}
	if isMessage {
		slow = w.waited(now, at, large)
		w.sample(now, large, slow)
	}
	if isMessage && large.bytes >= leastFrame { // those that went at once waited for one another
		w.note(max(0, slow-startQueue))
	} else if !isMessage {
		w.note(q)
	}
	if took, came := at-p.cameAt, w.came-p.came; p.counted && took > 0 && (!isMessage || came >= messageSample && q > startQueue) {
		w.remember(now, float64(came)/max(micros(took), w.trip/2).Seconds())
	}
	w.cameAt = at
	if isMessage && w.start && slow > messageQueue { // the next would make the same queue
		w.start, w.size = false, w.full()+w.step()
	}
	if w.start && (w.limited || w.filled) {
		w.size += float64(bytes * w.growth(slow, isMessage))
	}
	if p.upto > w.turn {
		w.turn = w.sent
		if w.seen {
			w.roundTrip(now)
		}
		if isMessage { // one goes while the one before is counted
			w.size = max(w.size, 2*float64(w.message(mostFrame)))
		}
	}
}

// sample takes a rate of the largest message of those that came, which was in queues for so long: the path took
// no longer for it. If it waited for nothing, what is known of the path's length may be from such a one, and its
// round trip shows more. A small one shows no more than that the path has become faster.
func (w *Window) sample(now time.Time, large *packet, slow time.Duration) {
	if slow < leastQueue {
		slow = max(slow, now.Sub(large.sent)-w.trip)
	}
	value := float64(large.bytes) / max(slow, leastQueue).Seconds()
	switch {
	case large.bytes >= messageSample:
		w.remember(now, value)
	case large.bytes >= leastFrame && len(w.rates) > 0 && value > w.rate():
		w.remember(now, min(value, 2*w.rate()))
	}
}

// growth is how many bytes more may be in flight, in slow start, for each that has come after q in queues.
func (w *Window) growth(q time.Duration, isMessage bool) int64 {
	switch {
	case isMessage && q <= messageQueue:
		return min(messageGrowth, int64(messageQueue/max(q, 1)))
	case q <= w.aim()/4:
		return startGrowth
	case q <= max(2*w.aim(), startQueue):
		return 1
	}
	return 0
}

// note takes how long bytes waited.
func (w *Window) note(q time.Duration) {
	if !w.seen || q < w.least {
		w.least, w.seen = q, true
	}
}

// waited is how long p waited in queues.
func (w *Window) waited(now time.Time, at clock, p *packet) time.Duration {
	took := at - p.sent.UnixMicro()
	if !w.based || took < w.base || took-w.base > mostQueue.Microseconds() {
		w.base, w.based, w.baseAt = took, true, now
	}
	return micros(took - w.base)
}

// full is what the path holds without a queue.
func (w *Window) full() float64 { return w.rate() * w.trip.Seconds() }

// isSlow reports whether the path is known to take few bytes a second.
func (w *Window) isSlow() bool { return len(w.rates) > 0 && w.rate() < slowRate }

// isQueued reports whether what was counted last waited.
func (w *Window) isQueued() bool { return w.turns.queued > w.aim()/4 }

// isPaced reports whether frames go one after another. Those of whoever has little to say need not.
func (w *Window) isPaced() bool {
	return !w.start && w.isSlow() && (w.limited || w.filled || w.isQueued())
}

// frameTime is from a frame of so many bytes to the next where they go one after another.
func (w *Window) frameTime(frame int64) time.Duration {
	gain := emptyGain
	if w.isQueued() {
		gain = fullGain
	}
	return min(time.Duration(float64(frame)/(w.rate()*gain)*float64(time.Second)), mostTurn)
}

// step is what the window may have beside.
func (w *Window) step() float64 { return max(2*w.frame(), w.rate()*w.aim().Seconds()) }

// stride is how much a window grows by which nothing queues: where frames go one after another that may be so though
// it is nearly large enough.
func (w *Window) stride() float64 {
	if w.isPaced() {
		return w.size / 4
	}
	return w.size
}

// floor is what the window has at least: a TCP that loses packets needs more before it than is under way, what says
// that bytes came waits where bulk goes the other way, too, and messages that are counted seldom need more yet.
func (w *Window) floor() float64 {
	least := w.trip * 3 / 2
	if w.paid {
		return w.rate() * max(least, w.loop*6/5, w.trip+messageTime).Seconds()
	}
	return w.rate() * max(least, w.loop*9/8).Seconds()
}

// roundTrip sets the window, once in a round trip.
func (w *Window) roundTrip(now time.Time) {
	rate, frame, aim := w.rate(), w.frame(), w.aim()
	step, full := w.step(), w.full()
	switch {
	case w.start:
		if w.least > aim && w.last > 0 && rate < 1.25*w.last {
			w.start = false
			w.size = full + step
		}
		w.last = rate
	case now.Sub(w.baseAt) > baseFor: // the queue is emptied once: perhaps it was taken for the path's length
		w.size = full / 2
		w.base += min(w.least, 10*time.Millisecond).Microseconds()
		w.baseAt = now
	case w.limited:
		if w.least < aim/4 {
			step = max(step, w.stride())
		}
		w.size *= w.trip.Seconds() / (w.trip + w.least).Seconds()
		w.size = max(w.size+step, w.floor()+2*frame)
	}
	w.size = max(w.size, 2*leastFrame)
	w.seen, w.filled, w.limited, w.loop = false, w.limited, false, 0
}

// waiting returns what is to be called, without w.mu, as there may be room. A lane that asks no
// more before the next time waits no more.
func (w *Window) waiting() []func() {
	var all []func()
	for _, l := range w.lanes {
		if l.asks {
			all = append(all, l.ready)
		}
		l.waits, l.asks = l.asks, false
	}
	return all
}

// share is what each of those that wait, and one more, may have in flight while others wait.
func (w *Window) share(l *Lane) int64 {
	n := int64(1)
	for _, o := range w.lanes {
		if o != l && !o.doubted && (o.waits || o.asks) {
			n++
		}
	}
	return int64(w.size) / n
}
