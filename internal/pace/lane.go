package pace

import (
	"slices"
	"time"
)

// Lane is what goes over a window by one carrier. One goroutine at a time may send.
type Lane struct {
	window  *Window
	ready   func()
	asks    bool     // ready is to be called when there is room
	waits   bool     // it was called the last time
	doubted bool     // what is in flight on it does not count
	closed  bool     // and never will again
	brief   bool     // it carries little in all
	from    uint64   // bytes that had gone before
	sent    uint64   // bytes in all
	came    uint64   // of those, what the peer has counted
	fly     int64    // bytes that are in flight
	packets []packet // sent and not counted, the oldest first
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
	frame := int64(w.frame())
	if l.brief && w.rate()*briefTime.Seconds() >= briefFrame {
		frame = max(frame, briefFrame)
	}
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

// most is what may be in flight on the lane, however much on the path: the TCP beyond an edge has
// its slow start to come, and where a carrier passes little what is in flight then is lost.
func (l *Lane) most() int64 {
	came := int64(l.came - l.from)
	return first + came + (startGrowth-1)*max(0, came-little)
}

// Sent counts bytes that are about to be written. Those that are not bulk are never in flight: they
// are few, and the peer may not tell that they came.
func (l *Lane) Sent(now time.Time, n int, bulk bool) {
	w := l.window
	w.mu.Lock()
	defer w.mu.Unlock()
	l.sent += uint64(n)
	if !bulk {
		return
	}
	p := packet{sent: now, bytes: int64(n), total: l.sent, came: w.came, cameAt: w.cameAt, counted: w.fly > 0 && w.cameAt != 0}
	w.sent += uint64(n)
	w.moved = now
	p.upto = w.sent
	l.add(p.bytes)
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
	if p, bytes := l.last(count); bytes > 0 {
		l.add(-bytes)
		w.came += uint64(bytes)
		w.learn(now, clock(at%mostClock), bytes, &p)
	}
	ready := w.waiting()
	w.mu.Unlock()
	for _, f := range ready {
		f()
	}
	return nil
}

// last takes off the packets that have come, and returns the last of them and the bytes of all.
func (l *Lane) last(count uint64) (p packet, bytes int64) {
	n := 0
	for ; n < len(l.packets) && l.packets[n].total <= count; n++ {
		p = l.packets[n]
		bytes += p.bytes
	}
	if l.packets = slices.Delete(l.packets, 0, n); len(l.packets) == 0 {
		l.packets = nil
	}
	return p, bytes
}

// Doubt says whether what is in flight on the lane may never come: others need not wait for it.
func (l *Lane) Doubt(yes bool) {
	w := l.window
	w.mu.Lock()
	if l.doubted == yes || l.closed {
		w.mu.Unlock()
		return
	}
	l.doubted = yes
	if yes {
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

// Close takes the lane off the path, with what is in flight on it.
func (l *Lane) Close() {
	w := l.window
	w.mu.Lock()
	if !l.doubted {
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
