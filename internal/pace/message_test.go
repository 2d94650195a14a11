package pace

import (
	"slices"
	"testing"
	"time"
)

// road is a path of so many bytes a second that takes messages and says what came when it is asked.
type road struct {
	rate  float64
	trip  time.Duration
	now   time.Time
	free  time.Time // when all that was sent has passed
	sent  uint64
	asks  int
	size  []int
	queue time.Duration // the longest
	on    []reply       // their way
	talks bool          // somebody does, all the time
}

// reply is a count that comes then.
type reply struct {
	at    time.Time
	count uint64
	clock uint64
}

// run sends for so long over l.
func (r *road) run(l *Lane, d time.Duration) {
	for end := r.now.Add(d); r.now.Before(end); r.now = r.now.Add(time.Millisecond) {
		for len(r.on) > 0 && !r.on[0].at.After(r.now) {
			l.Came(r.now, r.on[0].count, r.on[0].clock)
			r.on = r.on[1:]
		}
		if r.talks {
			l.window.Talk(r.now)
		}
		for n := l.Room(r.now); n > 0 || l.Asks(0); n = l.Room(r.now) {
			asks := n == 0 || l.Asks(n)
			n = max(n, 20)
			l.Sent(r.now, n, true)
			r.sent += uint64(n)
			r.size = append(r.size, n)
			r.queue = max(r.queue, r.free.Sub(r.now))
			if r.free.Before(r.now) {
				r.free = r.now
			}
			r.free = r.free.Add(time.Duration(float64(n) / r.rate * float64(time.Second)))
			if asks {
				r.asks++
				came := r.free.Add(r.trip / 2)
				r.on = append(r.on, reply{came.Add(r.trip / 2), r.sent, uint64(came.UnixMicro())})
			}
		}
	}
}

// first has something pass alone, as the first messages of a carrier do.
func (r *road) first(l *Lane, n int) {
	r.sent += uint64(n)
	l.Sent(r.now, n, true)
	came := r.now.Add(r.trip/2 + time.Duration(float64(n)/r.rate*float64(time.Second)))
	r.now = came.Add(r.trip / 2)
	l.Came(r.now, r.sent, uint64(came.UnixMicro()))
}

const wholeMessage = 100 << 10

// A path that is slow is kept full by small messages, with a short queue, while somebody talks, and by parts of
// messages else; one that is fast takes whole ones, of which hardly any asks.
func TestMessagesAreWholeWhereThePathIsFast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate       float64
		trip       time.Duration
		most       int           // bytes of a message, in the end
		queue      time.Duration // at most
		asks, full float64       // a message, at most; of what the path passes, at least
		quiet      bool
	}{
		"64 kbit/s, quiet": {6_500, 300 * time.Millisecond, quietMessage, 8 * time.Second, 1, 0.85, true},
		"64 kbit/s":        {6_500, 300 * time.Millisecond, 4 << 10, 2500 * time.Millisecond, 0.6, 0.85, false},
		"800 kbit/s":       {80_000, 150 * time.Millisecond, 40 << 10, 1500 * time.Millisecond, 1, 0.85, false},
		"5 Mbit/s":         {625e3, 100 * time.Millisecond, wholeMessage, 500 * time.Millisecond, 0.65, 0.7, false},
		"20 Mbit/s":        {2.5e6, 200 * time.Millisecond, wholeMessage, 500 * time.Millisecond, 0.25, 0.7, false},
		"fast":             {20e6, 60 * time.Millisecond, wholeMessage, 500 * time.Millisecond, 0.1, 0.9, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &road{rate: c.rate, trip: c.trip, now: time.Unix(1e9, 0), talks: !c.quiet}
			l := New(0).NewMessageLane(0, wholeMessage, false, func() {})
			r.first(l, 100)
			r.run(l, 20*time.Second)
			full := float64(r.sent) / c.rate / 20
			last, asks := r.size[len(r.size)-1], float64(r.asks)/float64(len(r.size))
			t.Logf("%d messages, %d ask, the last of %d, queue %v, %.2f full", len(r.size), r.asks, last, r.queue, full)
			if r.size[0] > firstMessage || last > c.most || asks > c.asks || full < c.full || r.queue > c.queue {
				t.Errorf("got first %d, last %d, %.2f of messages ask, %.2f full, queue %v, want %+v", r.size[0], last, asks, full, r.queue, c)
			}
			if c.quiet && last < c.most*9/10 {
				t.Errorf("got a message of %d bytes where nobody talks, want parts", last)
			}
			if c.most == wholeMessage && last < c.most {
				t.Errorf("got a message of %d bytes on a path that is fast, want whole ones", last)
			}
		})
	}
}

// A lane that has passed nothing and lost a message has others begin with half as much, and have little in
// flight; but not one whose limit is known. Once one has passed much, all do again as before.
func TestMessagesAreSmallWhereLanesPassLittle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	w := New(50 * time.Millisecond)
	lane := func() *Lane { return w.NewMessageLane(0, wholeMessage, false, func() {}) }
	for _, want := range []int{firstMessage, firstMessage / 2, firstMessage / 4, leastFrame, leastFrame} {
		l := lane()
		if n := l.Room(now); n != max(want, leastFrame) {
			t.Errorf("got a message of %d bytes, want %d", n, want)
		}
		flies := 0
		for n := l.Room(now); n > 0; n = l.Room(now) {
			l.Sent(now, n, true)
			if flies += n; want < firstMessage && flies > 2*max(want, leastFrame) {
				t.Errorf("got %d bytes in flight, want two messages of %d at most", flies, want)
			}
		}
		l.Close(now, false)
	}
	known := lane()
	known.Limit()
	if n := known.Careful(wholeMessage); n != wholeMessage {
		t.Errorf("got %d bytes at most where the limit is known, want %d", n, wholeMessage)
	}
	for l := lane(); l.passed() < little; {
		l.Sent(now, l.Room(now), true)
		now = now.Add(100 * time.Millisecond)
		if err := l.Came(now, l.sent, uint64(now.UnixMicro())); err != nil {
			t.Fatal(err)
		}
		if n := lane().Careful(wholeMessage); l.passed() < little && n != max(int(l.passed()/2), leastFrame) {
			t.Errorf("got %d bytes at most beside a lane that has passed %d", n, l.passed())
		}
	}
	if n := lane().Careful(wholeMessage); n != wholeMessage {
		t.Errorf("got %d bytes at most once a lane has passed much, want %d", n, wholeMessage)
	}
}

// The second of two messages that fill a careful lane asks: none goes that asks for nothing else.
func TestACarefulLaneAsksBeforeItIsFull(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	w := New(50 * time.Millisecond)
	lost := w.NewMessageLane(0, wholeMessage, false, func() {})
	lost.Sent(now, 4<<10, true)
	lost.Close(now, false)
	l := w.NewMessageLane(0, wholeMessage, false, func() {})
	var asks []bool
	for n := l.Room(now); n > 0; n = l.Room(now) {
		n -= 40 // a record's head
		asks = append(asks, l.Asks(n))
		l.Sent(now, n+40, true)
	}
	if !slices.Equal(asks, []bool{false, true}) || l.Asks(0) {
		t.Errorf("got messages of which %v ask, want the second of two, and none alone", asks)
	}
}

// A path whose first message was large, and all that was known of its length, is not taken for a fast one.
func TestALargeFirstMessageShowsHowSlowAPathIs(t *testing.T) {
	t.Parallel()
	r := &road{rate: 4_000, trip: 100 * time.Millisecond, now: time.Unix(1e9, 0), talks: true}
	l := New(0).NewMessageLane(0, wholeMessage, false, func() {})
	r.first(l, 16<<10)
	r.first(l, 50)
	r.run(l, 30*time.Second)
	if most := slices.Max(r.size); most > firstMessage || r.queue > 4*time.Second {
		t.Errorf("got a message of %d bytes, and a queue of %v", most, r.queue)
	}
}

// A rate that was low is none for ever: small messages that pass soon make way for larger ones.
func TestMessagesGrowWhenAPathBecomesFaster(t *testing.T) {
	t.Parallel()
	r := &road{rate: 4_000, trip: 100 * time.Millisecond, now: time.Unix(1e9, 0), talks: true}
	l := New(0).NewMessageLane(0, wholeMessage, false, func() {})
	r.first(l, 100)
	r.run(l, 20*time.Second)
	if last := r.size[len(r.size)-1]; last != leastFrame {
		t.Fatalf("got a message of %d bytes where the path is slow", last)
	}
	r.rate = 4e6
	r.run(l, 10*time.Second)
	if last := r.size[len(r.size)-1]; last < wholeMessage {
		t.Errorf("got a message of %d bytes where the path is fast, want a whole one", last)
	}
}

// What asks may overtake what it asks for. The answer is one all the same, and more may ask.
func TestAnAnswerThatCountsLessLetsAnotherAsk(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	l := New(50*time.Millisecond).NewMessageLane(0, wholeMessage, false, func() {})
	asked := 0
	for n := l.Room(now); n > 0; n = l.Room(now) {
		if l.Asks(n) {
			asked++
		}
		l.Sent(now, n, true)
	}
	now = now.Add(time.Second)
	l.Answered()
	if err := l.Came(now, l.sent-firstMessage/2, uint64(now.UnixMicro())); err != nil || asked == 0 {
		t.Fatalf("got %v, and %d that asked", err, asked)
	}
	if n := l.Room(now); n == 0 && !l.Asks(0) || n > 0 && !l.Asks(n) && l.sent-l.came > uint64(l.window.size/2) {
		t.Errorf("got none that asks, of %d bytes, after an answer that left some out", n)
	}
}

// What was learned of a path is forgotten when no bulk has moved for long, also where small messages go all the
// time, and one is in flight of which the peer says nothing.
func TestSmallMessagesKeepNoOldFigures(t *testing.T) {
	t.Parallel()
	for _, pong := range []time.Duration{time.Hour, 20 * time.Second} {
		r := &road{rate: 4e6, trip: 100 * time.Millisecond, now: time.Unix(1e9, 0), talks: true}
		l := New(0).NewMessageLane(0, wholeMessage, false, func() {})
		r.first(l, 100)
		r.run(l, 5*time.Second)
		for end := r.now.Add(2 * time.Hour); r.now.Before(end); r.now = r.now.Add(pong) {
			l.Came(r.now, l.sent, uint64(r.now.UnixMicro()))
			l.Sent(r.now, 50, true)
		}
		if n := l.Room(r.now); n != firstMessage {
			t.Errorf("got a first message of %d bytes two hours later, with a small one every %v, want %d", n, pong, firstMessage)
		}
	}
}

// A lane that ends in order, or long after its last message, is no sign that lanes pass little.
func TestAnEndInOrderIsNoLoss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after   time.Duration
		inOrder bool
		want    int
	}{
		"at once":       {0, false, 5 << 10},
		"in order":      {0, true, firstMessage},
		"a while later": {lostWithin, false, 5 << 10},
		"much later":    {lostWithin + time.Second, false, firstMessage},
	} {
		now := time.Unix(1e9, 0)
		w := New(50 * time.Millisecond)
		l := w.NewMessageLane(0, wholeMessage, false, func() {})
		l.Sent(now, 10<<10, true)
		l.Close(now.Add(c.after), c.inOrder)
		if n := w.NewMessageLane(0, wholeMessage, false, func() {}).Room(now); n != c.want {
			t.Errorf("%s: got a message of %d bytes afterwards, want %d", name, n, c.want)
		}
	}
}

// What a lane has passed that stalls is no bound of its peer's where that is much, or next to nothing.
func TestALaneThatStallsHasOthersBeginWithLittle(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for passed, want := range map[int]int{leastFrame - 1: wholeMessage, 8 << 10: leastFrame, 40 << 10: 40 << 10 / stallPart, little: wholeMessage} {
		w := New(50 * time.Millisecond)
		l := w.NewMessageLane(0, wholeMessage, false, func() {})
		l.Sent(now, passed, true)
		if err := l.Came(now, uint64(passed), uint64(now.UnixMicro())); err != nil {
			t.Fatal(err)
		}
		l.Stall()
		if n := w.NewMessageLane(0, wholeMessage, false, func() {}).Careful(wholeMessage); n != want {
			t.Errorf("%d bytes had passed: got messages of %d by another, want %d", passed, n, want)
		}
		lost := w.NewLane(0, false, func() {})
		lost.Sent(now, 4<<10, true)
		before := w.Wait()
		w.NewLane(0, false, func() {}).Sent(now, 4<<10, true)
		if got := w.Wait(); got != before && w.Rate() == 0 {
			t.Errorf("got a wait of %v where nothing was counted and two lanes have begun, want %v", got, before)
		}
	}
}
