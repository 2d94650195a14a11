package pace

import (
	"slices"
	"time"
)

// Lane is what goes over a window by one carrier. One goroutine at a time may send.
type Lane struct {
	window  *Window
	ready   func()
	asks    bool      // ready is to be called when there is room
	waits   bool      // it was called the last time
	doubted bool      // what is in flight on it does not count
	closed  bool      // and never will again
	brief   bool      // it carries little in all
	from    uint64    // bytes that had gone before
	sent    uint64    // bytes in all
	at      time.Time // when the last of them went
	came    uint64    // of those, what the peer has counted
	fly     int64     // bytes that are in flight
	packets []packet  // sent and not counted, the oldest first
	whole   int64     // the most that one message holds, where each is paid for; 0: none is
	known   bool      // how much the lane passes is known
	due     time.Time // when the next frame may go, where each has a time of its own; zero: it has none yet
	asked   uint64    // bytes that had gone when the peer was last asked how many came
}

// packet is bytes that were sent at once.
type packet struct {
	sent   time.Time
	bytes  int64
	total  uint64 // of its lane, with it
	upto   uint64 // of the window, with it
	came   uint64 // of the window, when it was sent
	cameAt clock  // when that had come, by the peer
	// counted reports that cameAt is a time: the peer has counted something since the window
	// was last empty.
	counted bool
}

// maxPackets bounds what a lane remembers of packets. Beyond it, neighbours are one.
const maxPackets = 1 << 10

// NewLane adds a carrier to the path. ready is called, by whichever goroutine made room, when a
// Room that was too little may have become more; it must not block.
// sent is what had gone by it before, and doubted as Doubt says.
func (w *Window) NewLane(sent uint64, doubted bool, ready func()) *Lane {
	l := &Lane{window: w, ready: ready, sent: sent, came: sent, from: sent, doubted: doubted}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lanes = append(w.lanes, l)
	return l
}

// Brief has the frames of a lane that carries little be larger, as each takes a packet, of which a
// young TCP has ten.
func (l *Lane) Brief() {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	l.brief = true
}

// NewMessageLane is NewLane where messages are paid for, of which none holds more than whole bytes.
func (w *Window) NewMessageLane(sent uint64, whole int, doubted bool, ready func()) *Lane {
	l := w.NewLane(sent, doubted, ready)
	l.whole = int64(whole)
	return l
}

// Room is how many bytes the next frame may have; 0 if there is no room for one, and then ready
// is called when there may be some. A lane in doubt has none while it is.
func (l *Lane) Room(now time.Time) int {
	w := l.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.doubted {
		l.asks = true
		return 0
	}
	w.rest(now)
	if l.whole > 0 {
		w.quiet = now.Sub(w.talked) > talkFor
		l.asks, l.waits = false, false
		return l.roomForMessage()
	}
	frame := l.frame()
	room := min(int64(w.size)-w.fly, max(w.share(l), frame)-l.fly)
	if w.fly > 0 && room < frame {
		w.limited = true
		l.asks = true
		return 0
	}
	if l.fly > 0 {
		left := l.most() - l.fly
		if left < min(frame, leastFrame) {
			l.asks = true
			return 0
		}
		frame = min(frame, left)
	}
	l.asks, l.waits = false, false
	return int(frame)
}

// frame is how many bytes the lane's next frame should have. w.mu is held.
func (l *Lane) frame() int64 {
	frame := int64(l.window.frame())
	if l.brief && l.window.rate()*briefTime.Seconds() >= briefFrame {
		frame = max(frame, briefFrame)
	}
	return frame
}

// Turn is how long it takes until the next frame may go, should there be room for it then: on a slow path frames go
// one after another. Where counts of what came queue behind what goes the other way, several come at once, and what
// they make room for at once would leave the path empty afterwards. By a lane that carries little they go at once: what
// comes over all such lanes tells how many there are, and not what the path takes.
func (l *Lane) Turn(now time.Time) time.Duration {
	w := l.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.whole > 0 || l.brief || !w.isPaced() {
		l.due = time.Time{}
		return 0
	}
	if l.due.IsZero() {
		l.due = w.turns.take(now, w.frameTime(l.frame()))
	}
	wait := l.due.Sub(now)
	l.asks = wait > 0
	return wait
}

// roomForMessage is Room where messages are paid for: they are whole where the path passes them fast, and
// small by a lane that has passed little where another has lost some.
// A lane of which nothing is in flight has room for one, since what others have in flight the peer may
// not tell before it is asked. w.mu is held.
func (l *Lane) roomForMessage() int {
	w := l.window
	message := w.message(l.whole)
	room := min(int64(w.size)-w.fly, max(w.share(l), message)-l.fly)
	if most, is := l.careful(); is {
		message, room = min(message, most), min(room, 2*most-l.fly)
	}
	switch {
	case l.fly == 0:
		return int(min(message, max(room, leastFrame)))
	case room < message:
		w.limited = w.limited || int64(w.size)-w.fly < message
		l.asks = true
		return 0
	}
	return int(message)
}

// most is what may be in flight on the lane, however much on the path: the TCP beyond an edge has
// its slow start to come, and where a carrier passes little what is in flight then is lost.
func (l *Lane) most() int64 {
	came := l.passed()
	return first + came + (startGrowth-1)*max(0, came-little)
}

// passed is how much the peer has counted.
func (l *Lane) passed() int64 { return int64(l.came - l.from) }

// Limit says that it is known how much the lane passes, so that messages are as large as that allows.
func (l *Lane) Limit() {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	l.known = true
}

// Careful is whole, or how much a message may have at most that goes by the lane, whatever is in it.
func (l *Lane) Careful(whole int) int {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	if most, is := l.careful(); is {
		return min(whole, int(most))
	}
	return whole
}

// careful is how much a message may have where lanes may pass no more, and reports whether that is so.
// w.mu is held.
func (l *Lane) careful() (most int64, is bool) {
	return max(l.window.most, l.passed()/2), l.window.most > 0 && !l.known
}

// lose notes that what has gone by the lane and was not counted may be lost. A lane that has passed nothing
// else may pass no message as large. w.mu is held.
func (l *Lane) lose() {
	w, lost := l.window, int64(l.sent-l.came)
	if l.whole == 0 || lost < leastFrame || l.passed() >= leastFrame {
		return
	}
	if w.most > 0 {
		lost = min(lost, w.most)
	}
	w.most = max(lost/2, leastFrame)
}

// Stall notes that the lane may have frozen, as its peer goes on by another. If it has passed little, others may pass
// no more, and begin with messages that are a part of that.
func (l *Lane) Stall() {
	w := l.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.whole == 0 || l.passed() < leastFrame || l.passed() >= little {
		return
	}
	if most := max(l.passed()/stallPart, leastFrame); w.most == 0 || most < w.most {
		w.most = most
	}
}

// pass notes what a lane has passed: others may, too. w.mu is held.
func (l *Lane) pass() {
	switch w := l.window; {
	case w.most == 0:
	case l.passed() >= little:
		w.most = 0
	default:
		w.most = max(w.most, l.passed()/2)
	}
}

// Asks reports, where messages are paid for, whether one of n bytes that goes now should ask the peer how
// many came, and notes that it does. A message of 0 bytes asks for nothing else: one goes if the lane
// waits and nothing that has gone asks.
func (l *Lane) Asks(n int) bool {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	open := l.asked > l.came
	switch {
	case l.whole == 0, l.doubted, n == 0 && (open || !l.asks):
		return false
	case n > 0 && !l.fills(int64(n), open) && !l.isHalf(int64(n), open):
		return false
	}
	l.asked = l.sent + uint64(n)
	return true
}

// fills reports whether a message of n bytes is the last that goes by a careful lane before something is
// counted, and nothing that is on its way asks. w.mu is held.
func (l *Lane) fills(n int64, open bool) bool {
	most, is := l.careful()
	return is && !open && l.fly+n+min(l.window.message(l.whole), most) > 2*most
}

// halves is how many whole messages half of a window holds that is very large: then half of it asks, as on one
// that is short.
const halves = 4

// isHalf reports whether half of the window is in flight with a message of n bytes, and as much has gone since
// the last that asks, if it has no answer yet. In a window between short and very large, and in slow start, the
// message that fills it asks. w.mu is held.
func (l *Lane) isHalf(n int64, open bool) bool {
	w := l.window
	half, isNext := int64(w.size/2), w.fly+n+w.message(l.whole) < int64(w.size) // the next may go, too
	switch {
	case w.fly+n < half, open && int64(l.sent-l.asked)+n < half:
		return false
	}
	return !isNext || half <= l.whole || !w.start && half >= halves*l.whole
}

// Asked notes that the peer will soon say, of itself, that n bytes have come that go now.
func (l *Lane) Asked(n int) {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	l.asked = l.sent + uint64(n)
}

// Answered notes that the peer has said what had come when it was asked. What asked may have overtaken some,
// which is asked for anew.
func (l *Lane) Answered() {
	l.window.mu.Lock()
	defer l.window.mu.Unlock()
	l.asked = min(l.asked, l.came)
}

// Sent counts bytes that are about to be written. Those that are not bulk are never in flight: they
// are few, and the peer may not tell that they came. Where messages are paid for, those are bulk of which
// it tells.
func (l *Lane) Sent(now time.Time, n int, bulk bool) {
	w := l.window
	w.mu.Lock()
	defer w.mu.Unlock()
	l.sent, l.at = l.sent+uint64(n), now
	if !bulk {
		return
	}
	l.due = time.Time{}
	p := packet{sent: now, bytes: int64(n), total: l.sent, came: w.came, cameAt: w.cameAt, counted: w.fly > 0 && w.cameAt != 0}
	w.sent += uint64(n)
	if n >= leastFrame || l.whole == 0 { // small messages tell next to nothing of the path
		w.moved = now
	}
	l.add(p.bytes)
	p.upto = w.sent
	if k := len(l.packets); k == maxPackets {
		last := &l.packets[k-1]
		last.bytes, last.total, last.upto = last.bytes+p.bytes, p.total, p.upto
		return
	}
	l.packets = append(l.packets, p)
}

// add has so many bytes more be in flight.
func (l *Lane) add(n int64) {
	l.fly += n
	if !l.doubted {
		l.window.fly += n
	}
}

// Came takes the peer's count of all bytes that came by the lane, and its clock in microseconds
// when the last of them did. A count that is not new is ignored.
func (l *Lane) Came(now time.Time, count, at uint64) error {
	w := l.window
	w.mu.Lock()
	if count > l.sent {
		w.mu.Unlock()
		return ErrCount
	}
	if count <= l.came {
		w.mu.Unlock()
		return nil
	}
	l.came = count
	l.pass()
	if p, large, bytes := l.last(count); bytes > 0 {
		l.add(-bytes)
		w.came += uint64(bytes)
		w.learn(now, clock(at%mostClock), bytes, &p, &large, l.whole > 0)
	}
	ready := w.waiting()
	w.mu.Unlock()
	for _, f := range ready {
		f()
	}
	return nil
}

// last takes off the packets that have come, and returns the last of them, the largest and the bytes of all.
func (l *Lane) last(count uint64) (p, large packet, bytes int64) {
	n := 0
	for ; n < len(l.packets) && l.packets[n].total <= count; n++ {
		if p = l.packets[n]; p.bytes >= large.bytes {
			large = p
		}
		bytes += p.bytes
	}
	if l.packets = slices.Delete(l.packets, 0, n); len(l.packets) == 0 {
		l.packets = nil
	}
	return p, large, bytes
}

// Doubt says whether what is in flight on the lane may never come: others need not wait for it.
func (l *Lane) Doubt(yes bool) {
	w := l.window
	w.mu.Lock()
	if l.doubted == yes || l.closed {
		w.mu.Unlock()
		return
	}
	if l.doubted = yes; yes {
		l.lose()
		w.fly -= l.fly
	} else {
		w.fly += l.fly
	}
	ready := w.waiting()
	w.mu.Unlock()
	for _, f := range ready {
		f()
	}
}

// lostWithin is how long before the end of its lane a message went at most that was lost: whoever misses one goes
// on by another carrier sooner. One that went earlier came, and nothing was said since.
const lostWithin = 30 * time.Second

// Close takes the lane off the path, with what is in flight on it. inOrder says that it is ended by who knows that
// all came, or that nobody waits for it; else it may be lost.
func (l *Lane) Close(now time.Time, inOrder bool) {
	w := l.window
	w.mu.Lock()
	if !l.doubted {
		if !inOrder && now.Sub(l.at) <= lostWithin {
			l.lose()
		}
		w.fly -= l.fly
	}
	l.doubted, l.closed = true, true
	w.lanes = slices.DeleteFunc(w.lanes, func(o *Lane) bool { return o == l })
	ready := w.waiting()
	w.mu.Unlock()
	for _, f := range ready {
		f()
	}
}
