package pace

import (
	"container/heap"
	"errors"
	"fmt"
	"testing"
	"time"
)

// path is a link of a rate and a length with a queue without end, and what goes over it: the
// law's windows, by some lanes, and the peer's counts back.
type path struct {
	now   time.Time
	queue events
	order int
	rate  float64       // bytes a second
	way   time.Duration // one way
	free  time.Time     // when the link has sent all it was given
	moved float64
	worst time.Duration // in its queue
}

type event struct {
	at    time.Time
	order int
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	o := *e
	x := o[len(o)-1]
	*e = o[:len(o)-1]
	return x
}

func newPath(rate float64, trip time.Duration) *path {
	return &path{now: time.Unix(1e9, 0), rate: rate, way: trip / 2}
}

func (p *path) after(d time.Duration, do func()) {
	p.order++
	heap.Push(&p.queue, event{p.now.Add(d), p.order, do})
}

func (p *path) run(d time.Duration) {
	end := p.now.Add(d)
	for len(p.queue) > 0 && !p.queue[0].at.After(end) {
		e := heap.Pop(&p.queue).(event)
		p.now = e.at
		e.do()
	}
	p.now = end
}

// send has n bytes go over the link, and tells when they are there.
func (p *path) send(n int, there func()) {
	if p.free.Before(p.now) {
		p.free = p.now
	}
	p.worst = max(p.worst, p.free.Sub(p.now))
	p.free = p.free.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	p.moved += float64(n)
	p.after(p.free.Sub(p.now)+p.way, there)
}

// bulk sends over a lane all that it may. Its peer counts as PROTOCOL.md has it, by a clock
// that is years off.
type bulk struct {
	*path
	lane     *Lane
	waits    bool // for its turn
	sent     uint64
	came     uint64
	told     uint64
	dead     bool // nothing comes any more
	failures []error
}

const peersClock = 7e12

func (p *path) bulk(w *Window) *bulk {
	b := &bulk{path: p}
	b.lane = w.NewLane(0, false, func() { p.after(0, b.fill) })
	b.fill()
	return b
}

func (b *bulk) fill() {
	for !b.waits {
		if wait := b.lane.Turn(b.now); wait > 0 {
			b.waits = true
			b.after(wait, func() {
				b.waits = false
				b.fill()
			})
			return
		}
		n := b.lane.Room(b.now)
		if n == 0 {
			return
		}
		b.lane.Sent(b.now, n, true)
		b.sent += uint64(n)
		count := b.sent
		b.send(n, func() { b.arrive(count) })
	}
}

func (b *bulk) arrive(count uint64) {
	if b.dead {
		return
	}
	b.came = count
	if b.came-b.told >= max(4<<10, min(b.came/8, 1<<20)) {
		b.tell()
	} else {
		b.after(25*time.Millisecond, b.tell)
	}
}

func (b *bulk) tell() {
	if b.told == b.came {
		return
	}
	b.told = b.came
	count, at := b.came, uint64(b.now.UnixMicro()+peersClock)
	b.after(b.way, func() {
		if err := b.lane.Came(b.now, count, at); err != nil {
			b.failures = append(b.failures, err)
		}
	})
}

func TestAPathIsFullAndItsQueueShort(t *testing.T) {
	for _, c := range []struct {
		rate        float64
		trip        time.Duration
		lanes       int
		longest     time.Duration // in the queue, once it has begun
		after, take time.Duration // from then on, for so long
	}{
		{8e3, 300 * time.Millisecond, 1, 1300 * time.Millisecond, 10 * time.Second, time.Minute},
		{8e3, 300 * time.Millisecond, 3, 2 * time.Second, 10 * time.Second, time.Minute},
		{2.5e6, 50 * time.Millisecond, 1, 60 * time.Millisecond, 3 * time.Second, 20 * time.Second},
		{2.5e6, 50 * time.Millisecond, 4, 120 * time.Millisecond, 3 * time.Second, 20 * time.Second},
		{125e6, 150 * time.Millisecond, 1, 150 * time.Millisecond, 4 * time.Second, 8 * time.Second},
		{600e6, 200 * time.Microsecond, 1, 60 * time.Millisecond, time.Second, 2 * time.Second},
	} {
		t.Run(fmt.Sprintf("%.0f B/s, %v, %d lanes", c.rate, c.trip, c.lanes), func(t *testing.T) {
			t.Parallel()
			p := newPath(c.rate, c.trip)
			w := New(0)
			var all []*bulk
			for range c.lanes {
				all = append(all, p.bulk(w))
			}
			p.run(c.after)
			p.moved, p.worst = 0, 0
			p.run(c.take)
			full := p.moved / (c.rate * c.take.Seconds())
			t.Logf("%.0f %% full, at most %v in the queue, a window of %.0f bytes", 100*full, p.worst, w.size)
			if full < 0.9 || p.worst > c.longest {
				t.Errorf("want 90 %% and %v", c.longest)
			}
			for _, b := range all {
				if share := float64(b.came) / float64(all[0].came); share < 0.3 || len(b.failures) > 0 {
					t.Errorf("a lane has %.2f of the first's, and %v", share, b.failures)
				}
			}
		})
	}
}

func TestALaneBeginsWithWhatOthersHaveLearned(t *testing.T) {
	p := newPath(2.5e6, 50*time.Millisecond)
	w := New(0)
	first := p.bulk(w)
	p.run(5 * time.Second)
	first.lane.Close(p.now, false)
	first.dead = true
	p.run(time.Second)
	p.moved = 0
	p.bulk(w)
	p.run(time.Second)
	if p.moved < 0.6*2.5e6 {
		t.Errorf("the second lane sent %.0f bytes in its first second", p.moved)
	}
}

func TestWhatIsInDoubtHoldsNobodyBack(t *testing.T) {
	p := newPath(8e3, 300*time.Millisecond)
	w := New(0)
	silent, other := p.bulk(w), p.bulk(w)
	p.run(5 * time.Second)
	silent.dead = true
	silent.lane.Doubt(true)
	before := other.came
	p.run(20 * time.Second)
	if got := float64(other.came - before); got < 0.8*20*8e3 {
		t.Errorf("the other lane brought %.0f bytes in 20 s", got)
	}
	silent.dead = false
	silent.lane.Doubt(false)
	p.run(20 * time.Second)
	if w.fly < 0 || len(silent.failures) > 0 {
		t.Errorf("%d bytes are in flight, and %v", w.fly, silent.failures)
	}
}

// Where carriers bring little it is they who hold bulk back: what comes by them is no rate of the path.
func TestLanesThatCarryLittleWaitForNoTurn(t *testing.T) {
	p := newPath(8e3, 300*time.Millisecond)
	w := New(0)
	p.bulk(w)
	p.run(10 * time.Second)
	l := w.NewLane(0, false, func() {})
	l.Turn(p.now) // the first is due at once, perhaps
	if l.Turn(p.now) == 0 && w.NewLane(0, false, func() {}).Turn(p.now) == 0 {
		t.Error("another lane waits for no turn")
	}
	l.Brief()
	if wait := l.Turn(p.now); wait > 0 {
		t.Errorf("a lane that carries little waits for %v", wait)
	}
}

// A lane that has waited for its turn, and has nothing more to say then, leaves the path to others.
func TestALaneThatFallsSilentTakesNoTurn(t *testing.T) {
	p := newPath(8e3, 300*time.Millisecond)
	w := New(0)
	other, silent := p.bulk(w), p.bulk(w)
	p.run(10 * time.Second)
	silent.waits = true
	p.run(5 * time.Second)
	before := other.came
	p.run(20 * time.Second)
	if got := float64(other.came - before); got < 0.95*20*8e3 {
		t.Errorf("the other lane brought %.0f bytes in 20 s", got)
	}
}

func TestCountsAreChecked(t *testing.T) {
	now := time.Unix(1e9, 0)
	w := New(0)
	l := w.NewLane(0, false, func() {})
	l.Sent(now, 1000, true)
	if err := l.Came(now, 1001, 5); !errors.Is(err, ErrCount) {
		t.Errorf("more than was sent: got %v", err)
	}
	for range 2 { // the second is not new
		if err := l.Came(now, 1000, 5); err != nil || w.fly != 0 {
			t.Errorf("got %v, %d in flight", err, w.fly)
		}
	}
	if err := l.Came(now, 500, 9); err != nil || w.fly != 0 {
		t.Errorf("an older count: got %v, %d in flight", err, w.fly)
	}
}

// A peer may count as it likes, by a clock that goes as it likes: what may be in flight stays
// bounded by what it says that it has.
func FuzzCame(f *testing.F) {
	f.Add([]byte{1, 2, 3, 250, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		now := time.Unix(1e9, 0)
		w := New(0)
		lanes := []*Lane{w.NewLane(0, false, func() {}), w.NewLane(0, false, func() {})}
		for ; len(b) >= 4; b = b[4:] {
			l := lanes[b[0]&1]
			now = now.Add(time.Duration(b[1]) * time.Millisecond)
			switch {
			case b[0] < 100:
				if n := l.Room(now); n > 0 {
					l.Sent(now, n, b[2]&3 > 0)
				}
			case b[0] < 250:
				l.Came(now, l.came+uint64(b[2])<<(b[3]%32), uint64(b[3])<<(b[2]%64))
			default:
				l.Doubt(b[2]&1 == 0)
			}
			if w.fly < 0 || w.size < leastFrame || w.size != w.size {
				t.Fatalf("%d in flight, a window of %f", w.fly, w.size)
			}
		}
	})
}

func BenchmarkSentAndCame(b *testing.B) {
	now := time.Unix(1e9, 0)
	l := New(time.Millisecond).NewLane(0, false, func() {})
	var n uint64
	for b.Loop() {
		now = now.Add(50 * time.Microsecond)
		l.Sent(now, 16<<10, true)
		n += 16 << 10
		l.Came(now, n, uint64(now.UnixMicro()))
		l.Room(now)
	}
}
