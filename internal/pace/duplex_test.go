package pace

import (
	"slices"
	"testing"
	"time"
)

// duplex is a slow path over which bulk goes both ways, and chat: counts of what came queue behind what goes the other
// way.
type duplex struct {
	*path // of the clock; what goes up moves over it
	up    direction
	down  direction
	trips []time.Duration // chat's
}

// direction is one way of a duplex path.
type direction struct {
	*duplex
	back     *direction
	link     *path
	lane     *Lane
	waits    bool // for its turn
	sent     uint64
	came     uint64
	told     uint64
	at       time.Time // when that came
	tells    bool      // soon
	failures []error
}

// What a packet and a record cost, in bytes.
const perPacket, perRecord, perCount, aPacket = 52, 60, 120, 1400

func newDuplex(rate float64, trip time.Duration) *duplex {
	d := &duplex{path: newPath(rate, trip)}
	for _, w := range []*direction{&d.up, &d.down} {
		w.duplex, w.link = d, newPath(rate, trip)
		w.lane = New(0).NewLane(0, false, func() { d.after(0, w.fill) })
	}
	d.up.back, d.down.back = &d.down, &d.up
	return d
}

// pass has n bytes of a record go, and tells when they are there.
func (w *direction) pass(n int, there func()) {
	w.link.now = w.now
	n += perRecord + perPacket*((n+aPacket-1)/aPacket)
	w.link.send(n, func() {})
	w.after(w.link.free.Sub(w.now)+w.link.way, there)
}

func (w *direction) fill() {
	for !w.waits {
		if wait := w.lane.Turn(w.now); wait > 0 {
			w.waits = true
			w.after(wait, func() {
				w.waits = false
				w.fill()
			})
			return
		}
		n := w.lane.Room(w.now)
		if n == 0 {
			return
		}
		w.lane.Sent(w.now, n, true)
		w.sent += uint64(n)
		count := w.sent
		w.pass(n, func() { w.arrive(count) })
	}
}

func (w *direction) arrive(count uint64) {
	w.came, w.at = count, w.now
	if w.came-w.told >= 4<<10 {
		w.tell()
	} else if !w.tells {
		w.tells = true
		w.after(25*time.Millisecond, w.tell)
	}
}

func (w *direction) tell() {
	w.tells = false
	if w.told == w.came {
		return
	}
	w.told = w.came
	count, at := w.came, uint64(w.at.UnixMicro()+peersClock)
	w.back.pass(perCount-perRecord-perPacket, func() {
		if err := w.lane.Came(w.now, count, at); err != nil {
			w.failures = append(w.failures, err)
		}
	})
}

// talk asks something each second. Every eighth answer is as large as chat's are at most.
func (d *duplex) talk(i int) {
	asked := d.now
	size := 200
	if i%8 == 7 {
		size = 4000
	}
	d.up.pass(100, func() {
		d.down.pass(size, func() { d.trips = append(d.trips, d.now.Sub(asked)) })
	})
	d.after(time.Second, func() { d.talk(i + 1) })
}

func TestAPathIsFullBothWays(t *testing.T) {
	for _, c := range []struct {
		rate      float64
		trip      time.Duration
		p95, most time.Duration // of chat
	}{
		{4e3, 300 * time.Millisecond, 4 * time.Second, 6 * time.Second},
		{8e3, 300 * time.Millisecond, 2500 * time.Millisecond, 5 * time.Second},
		{16e3, 100 * time.Millisecond, 2 * time.Second, 4 * time.Second},
		{12e3, 600 * time.Millisecond, 2500 * time.Millisecond, 5 * time.Second},
	} {
		for begun := range 2 { // at once, or one after the other
			d := newDuplex(c.rate, c.trip)
			d.talk(0)
			d.after(time.Second, d.down.fill)
			d.after(time.Second+time.Duration(begun)*317*time.Millisecond, d.up.fill)
			d.run(20 * time.Second)
			d.trips, d.up.link.moved, d.down.link.moved = nil, 0, 0
			const takes = 5 * time.Minute
			d.run(takes)
			slices.Sort(d.trips)
			p95, most := d.trips[len(d.trips)*95/100], d.trips[len(d.trips)-1]
			up, down := d.up.link.moved/c.rate/takes.Seconds(), d.down.link.moved/c.rate/takes.Seconds()
			t.Logf("%.0f B/s, %v: up %.2f, down %.2f full, chat %v, at most %v", c.rate, c.trip, up, down, p95, most)
			if up < .915 || down < .915 || p95 > c.p95 || most > c.most || len(d.up.failures)+len(d.down.failures) > 0 {
				t.Errorf("want 0.915, %v and %v; %v %v", c.p95, c.most, d.up.failures, d.down.failures)
			}
		}
	}
}
