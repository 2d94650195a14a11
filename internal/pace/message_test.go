package pace

import (
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
}

// run sends for so long over l.
func (r *road) run(l *Lane, d time.Duration) {
	type reply struct {
		at    time.Time
		count uint64
		clock uint64
	}
	var replies []reply
	for end := r.now.Add(d); r.now.Before(end); r.now = r.now.Add(time.Millisecond) {
		for len(replies) > 0 && !replies[0].at.After(r.now) {
			l.Came(r.now, replies[0].count, replies[0].clock)
			replies = replies[1:]
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
				replies = append(replies, reply{came.Add(r.trip / 2), r.sent, uint64(came.UnixMicro())})
			}
		}
	}
}

// first has something small pass, as the first messages of a carrier do.
func (r *road) first(l *Lane) {
	r.sent = 100
	l.Sent(r.now, 100, true)
	came := r.now.Add(r.trip / 2)
	r.now = r.now.Add(r.trip)
	l.Came(r.now, r.sent, uint64(came.UnixMicro()))
}

const wholeMessage = 100 << 10

// A path that is slow is kept full by small messages, with a short queue; one that is fast takes whole
// ones, of which hardly any asks.
func TestMessagesAreWholeWhereThePathIsFast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rate       float64
		trip       time.Duration
		most       int           // bytes of a message, in the end
		queue      time.Duration // at most
		asks, full float64       // a message, at most; of what the path passes, at least
	}{
		"64 kbit/s":  {6_500, 300 * time.Millisecond, 4 << 10, 2500 * time.Millisecond, 0.6, 0.85},
		"800 kbit/s": {80_000, 150 * time.Millisecond, 40 << 10, 1500 * time.Millisecond, 1, 0.85},
		"fast":       {20e6, 60 * time.Millisecond, wholeMessage, 500 * time.Millisecond, 0.1, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &road{rate: c.rate, trip: c.trip, now: time.Unix(1e9, 0)}
			l := New(0).NewMessageLane(0, wholeMessage, false, func() {})
			r.first(l)
			r.run(l, 20*time.Second)
			full := float64(r.sent) / c.rate / 20
			last, asks := r.size[len(r.size)-1], float64(r.asks)/float64(len(r.size))
			t.Logf("%d messages, %d ask, the last of %d, queue %v, %.2f full", len(r.size), r.asks, last, r.queue, full)
			if r.size[0] > firstMessage || last > c.most || asks > c.asks || full < c.full || r.queue > c.queue {
				t.Errorf("got first %d, last %d, %.2f of messages ask, %.2f full, queue %v, want %+v", r.size[0], last, asks, full, r.queue, c)
			}
			if c.most == wholeMessage && last < c.most {
				t.Errorf("got a message of %d bytes on a path that is fast, want whole ones", last)
			}
		})
	}
}
