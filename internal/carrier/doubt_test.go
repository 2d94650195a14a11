package carrier

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/pace"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// While much comes by a carrier that may freeze yet, its peer owes an answer, one at a time, so that a freeze is
// noticed at whatever byte it comes. One that has brought more, or whose budget ends before, asks nothing.
func TestAYoungCarrierAsksWhileBytesCome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, came int
		budget       uint32
		pings        int
	}{
		"much has come":        {0, muchCame + 30, 0, 1},
		"little has come":      {0, muchCame - 30, 0, 0},
		"it has brought a lot": {youngMost, muchCame, 0, 0},
		"a budget":             {0, muchCame, 12_000, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, d := newUnanswered(true)
			defer l.Close()
			l.Follow(0, nil, c.budget)
			l.count(c.before, c.before)
			l.alive.asked.Store(uint64(c.before))
			for range 3 { // the answer stays out
				l.count(c.came/3+1, c.came/3+1)
				l.report()
				time.Sleep(receivedWithin)
				synctest.Wait()
			}
			pings := 0
			for _, frames := range d.records(t) {
				for _, f := range frames {
					if f.Kind == wire.Ping {
						pings++
					}
				}
			}
			if pings != c.pings {
				t.Errorf("%s: got %d Pings, want %d", name, pings, c.pings)
			}
		})
	}
}

// What flows and stops is doubted sooner than a question that nothing flowed beside, though not before a packet that
// is lost would have come again.
func TestWhatFlowsIsDoubtedSooner(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trip, want time.Duration
		uploads    bool
	}{
		"a question":                  {150 * time.Millisecond, doubtLeast, false},
		"an upload":                   {150 * time.Millisecond, doubtFlowing, true},
		"an upload by a longer path":  {220 * time.Millisecond, flowingTrips * 220 * time.Millisecond, true},
		"an upload by the longest":    {280 * time.Millisecond, doubtLeast, true},
		"an upload by a path unknown": {0, doubtLeast, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			l, _ := newUnanswered(true)
			defer l.Close()
			l.alive.rtt.Store(int64(c.trip))
			s := l.newBulk(1)
			for range 40 { // answers take a tenth of a second
				s.add(1000)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				l.confirm(sentBy(l), uint64(time.Now().UnixMicro()))
			}
			time.Sleep(time.Second)
			if s.add(2000); c.uploads {
				before := sentBy(l)
				s.add(2000)
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				l.confirm(before, uint64(time.Now().UnixMicro())) // of a part
			}
			began := time.Now()
			for !l.Doubted() && time.Since(began) < time.Minute {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
			}
			if got := time.Since(began); got < c.want || got > c.want+50*time.Millisecond {
				t.Errorf("%s: doubted after %v, want %v", name, got, c.want)
			}
		})
	}
}

// An origin's carrier that its client trusts again while it owes an answer is doubted where that stays out, though nothing
// more goes that asks for one.
func TestATrustedCarrierThatOwesAnAnswerIsDoubtedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newUnanswered(false)
		defer c.Close()
		c.newBulk(1).add(1000)
		time.Sleep(doubtFirst + time.Second)
		if !c.Doubted() {
			t.Fatal("an answer stays out, and the carrier is not doubted")
		}
		c.count(100, 100) // something has come by it
		c.Suspect(false)
		if c.Doubted() {
			t.Fatal("a carrier that its client goes by again is doubted")
		}
		time.Sleep(doubtMost)
		if !c.Doubted() {
			t.Error("a carrier that owes an answer since long is trusted for ever")
		}
	})
}

// A carrier that took long to open has as long for its first answer, within reason: where a front has much to do another
// carrier would be one more thing. Later answers show how long they take.
func TestAFirstAnswerMayTakeAsLongAsOpening(t *testing.T) {
	t.Parallel()
	for opened, want := range map[time.Duration]time.Duration{time.Second: doubtFirst, 6 * time.Second: 6 * time.Second, time.Minute: doubtMost} {
		synctest.Test(t, func(t *testing.T) {
			c, _ := newUnanswered(true)
			defer c.Close()
			c.OpenedIn(opened)
			c.Ping()
			began := time.Now()
			for !c.Doubted() && !c.Dead() {
				time.Sleep(100 * time.Millisecond)
				c.Check(time.Now())
				synctest.Wait()
			}
			if got := time.Since(began); got < want || got > want+200*time.Millisecond || c.Dead() {
				t.Errorf("opened in %v: in doubt after %v, dead: %v; want it in doubt after %v", opened, got, c.Dead(), want)
			}
			c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
			if got := c.pongWait(); got != c.profile.PongWait {
				t.Errorf("opened in %v: a later answer may take %v, want %v", opened, got, c.profile.PongWait)
			}
		})
	}
}

// A machine that has much to do, or has slept, reads late what came in time: its peer was not silent.
func TestWhatHasComeAndWasNotReadIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := newUnanswered(true)
		defer c.Close()
		d.unread.Store(true)
		c.Ping()
		time.Sleep(time.Minute)
		if c.Check(time.Now()); c.Doubted() || c.Dead() {
			t.Errorf("got a carrier in doubt %t, and dead %t, while what has come waits to be read", c.Doubted(), c.Dead())
		}
		d.unread.Store(false)
		time.Sleep(2 * unreadFor)
		if c.Check(time.Now()); !c.Doubted() || !c.Dead() {
			t.Errorf("got a carrier in doubt %t, and dead %t, want both, as it has brought no answer", c.Doubted(), c.Dead())
		}
	})
}

// A new carrier has the patience that was learned of its path by the one before, unless that was long ago.
func TestACarrierKnowsHowLongAnswersTakeByItsPath(t *testing.T) {
	t.Parallel()
	for ago, want := range map[time.Duration]time.Duration{time.Second: doubtLeast, answersFor + time.Second: doubtFirst} {
		synctest.Test(t, func(t *testing.T) {
			before, _ := newUnanswered(true)
			before.alive.hear()
			before.edgeAnswered(150 * time.Millisecond)
			before.Close()
			time.Sleep(ago)
			c, _ := newUnanswered(true)
			defer c.Close()
			c.Inherit(before)
			if got := doubtedAfter(c); got < want || got > want+50*time.Millisecond {
				t.Errorf("%v later: doubted after %v, want %v", ago, got, want)
			}
		})
	}
}

// doubtedAfter is how long c is trusted that owes an answer from now on; no more than a minute.
func doubtedAfter(c *Carrier) time.Duration {
	began := time.Now()
	c.newBulk(1).add(100)
	for !c.Doubted() && time.Since(began) < time.Minute {
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
	}
	return time.Since(began)
}

// Where carrier after carrier brings nothing, each is waited for longer than the one before.
func TestCarriersThatAnswerNothingFollowEverMoreRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var before *Carrier
		for _, want := range []time.Duration{doubtFirst, 2 * doubtFirst, doubtMost, doubtMost} {
			c, _ := newUnanswered(true)
			defer c.Close()
			if before != nil {
				c.Inherit(before)
			}
			if got := doubtedAfter(c); got < want || got > want+50*time.Millisecond {
				t.Errorf("doubted after %v, want %v", got, want)
			}
			before = c
		}
	})
}

// An origin whose client goes on by another carrier begins the next one with messages that are a part of what the first
// has passed, if that is little.
func TestMessagesAreSmallAfterACarrierThatPassedLittle(t *testing.T) {
	t.Parallel()
	for _, passed := range []int{8 << 10, 80 << 10} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.GatewayProfile())
			c, _ := newOf(d, false)
			defer c.Close()
			d.peer = nil
			c.path.window = pace.New(100 * time.Millisecond)
			for c.newBulk(1).add(1 << 20); c.Passed() < uint64(passed); c.confirm(sentBy(c), uint64(time.Now().UnixMicro())) {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
			}
			c.mu.Lock()
			c.askPace()
			c.kick()
			c.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			if c.Suspect(true); !c.Doubted() {
				t.Fatal("it owes no answer")
			}
			lane := c.path.window.NewMessageLane(0, wire.MaxTextBody, false, func() {})
			if isCareful := lane.Careful(wire.MaxTextBody) < wire.MaxTextBody; isCareful != (passed < 64<<10) {
				t.Errorf("passed %d: got careful %v", passed, isCareful)
			}
		})
	}
}
