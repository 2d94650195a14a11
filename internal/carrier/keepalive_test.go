package carrier

import (
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Whoever takes much is owed no answer, and asks soon when nothing comes any more: once, as others
// are asked in good time.
func TestACarrierThatBroughtMuchIsAskedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		defer c.Close()
		asks := func(within time.Duration) bool {
			c.heard()
			c.alive.pinged.Store(0)
			time.Sleep(within)
			c.Check(time.Now())
			return c.alive.pinged.Load() != 0
		}
		if asks(pingBulk) {
			t.Error("a carrier that has brought nothing is asked as soon as one of bulk")
		}
		c.count(muchCame, muchCame)
		if asks(pingBulk - time.Millisecond) {
			t.Error("asked at once")
		}
		if !asks(pingBulk) {
			t.Errorf("not asked after %v, want a Ping", pingBulk)
		}
		if asks(pingBulk) {
			t.Error("asked again, want that once until more has come")
		}
		c.count(muchCame, muchCame)
		c.alive.rtt.Store(int64(time.Second))
		if asks(time.Second) {
			t.Error("asked after a round trip, in which bytes may be on their way")
		}
		if !asks(2 * time.Second) {
			t.Error("not asked after two round trips")
		}
	})
}

// Where somebody waits, a carrier that has shown nothing is asked so often that a CDN which cuts what rests for 5 s does
// not cut it. One that has outlived a rest is asked ever more rarely while nothing moves, but never after more than half
// of that rest.
func TestQuestionsGetRareByACarrierThatHasOutlivedARest(t *testing.T) {
	t.Parallel()
	for name, outlived := range map[string]time.Duration{"nothing": 0, "4 s": 4 * time.Second, "12 s": 12 * time.Second, "25 s": 25 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			all := 0
			for range minutes {
				asked := questionsInAMinute(true, outlived)
				last := time.Duration(0)
				for _, at := range asked {
					if most := max(pingActive, min(at*2/3, outlived/2)) + latest; at-last > most {
						t.Errorf("%s was outlived: asked after %v and then %v, want it within %v", name, last, at, most)
					}
					last = at
				}
				if outlived < 2*pingActive && len(asked) < int(time.Minute/(pingActive+latest)) {
					t.Errorf("%s was outlived: asked %d times in a minute, want every %v", name, len(asked), pingActive)
				}
				all += len(asked)
			}
			if outlived > 10*time.Second && all > 12*minutes {
				t.Errorf("%s was outlived: asked %d times in %d minutes, want 12 a minute at most", name, all, minutes)
			}
		})
	}
}

const (
	minutes = 10                 // when is left to chance
	latest  = CheckEvery * 5 / 4 // a Check comes as late
)

// Where nobody waits, the first question comes as soon as where somebody does, as what came may not have been all; the
// others are few, for they are most of what a client costs that rests.
func TestQuestionsAreFewWhereNobodyWaits(t *testing.T) {
	t.Parallel()
	if after, busy := pingTalk+latest, 300*time.Millisecond; after > 5*time.Second-busy {
		t.Errorf("asked after %v, want it %v before a CDN cuts what rests for 5 s, as timers may be late", after, busy)
	}
	synctest.Test(t, func(t *testing.T) {
		all := 0
		for range minutes {
			asked := questionsInAMinute(false, 0)
			if all += len(asked); len(asked) == 0 || asked[0] > pingActive+latest {
				t.Errorf("got questions after %v, want one within %v", asked, pingActive+latest)
			}
			last := time.Duration(0)
			for _, at := range append(asked, activeFor) {
				most := pingTalk
				if at > talkFor {
					most = min(at, pingIdle)
				}
				if at-last > most+latest {
					t.Errorf("asked after %v and then %v, want it within %v", last, at, most+latest)
				}
				last = at
			}
		}
		if all > 7*minutes {
			t.Errorf("asked %d times in %d minutes, want 7 a minute at most", all, minutes)
		}
	})
}

// Somebody waits once bytes of a stream have gone, until some come.
func TestWhoSaysSomethingWaitsUntilSomethingComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		waits := func() bool {
			synctest.Wait()
			return c.activeLimit(20*time.Second) == pingActive
		}
		take := func(f wire.Frame) {
			if _, err := c.takeRecord(0, append(f.Append(nil), make([]byte, wire.RecordOverhead)...), nil); err != nil {
				t.Fatal(err)
			}
		}
		if c.Ping(); waits() {
			t.Error("somebody waits though no stream has said anything")
		}
		if c.newBulk(1).add(100); !waits() {
			t.Error("nobody waits for what bytes of a stream asked for")
		}
		if take(wire.Frame{Kind: wire.Pong}); !waits() {
			t.Error("nobody waits any more after a Pong, want bytes of a stream")
		}
		if take(wire.Frame{Kind: wire.Data, Tunnel: 1, Body: []byte("x")}); waits() {
			t.Error("somebody waits though bytes of a stream have come")
		}
	})
}

// questionsInAMinute is when a carrier that has outlived a rest asks in the minute after something has moved, if each
// question is answered at once.
func questionsInAMinute(isAwaited bool, outlived time.Duration) (asked []time.Duration) {
	c, _ := newOver(newDoor(transport.StreamProfile()))
	defer c.Close()
	moved := time.Now()
	c.set.active = func() time.Time { return moved }
	c.in.awaited, c.doubt.longRest = isAwaited, outlived
	c.heard()
	for {
		time.Sleep(c.set.CheckIn(time.Now()))
		after := time.Since(moved)
		if after >= activeFor {
			return asked
		}
		if c.Check(time.Now()); c.alive.pinged.Load() != 0 {
			asked = append(asked, after)
			c.heard()
			c.alive.pinged.Store(0)
		}
	}
}

// Carriers are looked at often while much comes, as it may stop, and not where people chat: thousands of clients would
// look for nothing.
func TestCarriersAreLookedAtOftenWhileMuchComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		moved := time.Now()
		c.set.active = func() time.Time { return moved }
		isOften := func() bool { return c.set.CheckIn(time.Now()) < CheckEvery/2 }
		c.count(100, 100)
		if c.Check(time.Now()); isOften() {
			t.Error("looked at often where little has come")
		}
		c.count(muchCame, muchCame)
		if c.Check(time.Now()); !isOften() {
			t.Error("looked at rarely where much has come")
		}
		time.Sleep(briskFor)
		if isOften() {
			t.Errorf("looked at often %v after much has come", briskFor)
		}
	})
}

// What a carrier leaves by which questions alone go is not worth to be given back.
func TestQuestionsAreNoUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		idle := func() bool { _, n := c.rest(); return n > 0 }
		c.count(littleUse, littleUse)
		idle()
		if idle() {
			t.Error("a carrier has become idle by which a question went")
		}
		c.count(littleUse+1, littleUse+1)
		idle()
		c.count(1, 1)
		if idle() {
			t.Error("a carrier has become idle by which something goes")
		}
		if !idle() {
			t.Error("a carrier that was used has not become idle")
		}
		if idle() {
			t.Error("a carrier has become idle twice")
		}
	})
}

// A carrier by which something has gone since the last sweep keeps its ciphers: the next question comes soon.
func TestACarrierRestsThatHasNotMoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		party := c.party.(*plainParty)
		c.count(1, 1)
		if c.rest(); party.rests != 0 {
			t.Errorf("got %d ends that rest of a carrier that moves, want none", party.rests)
		}
		if c.rest(); party.rests != 2 {
			t.Errorf("got %d ends that rest, want both", party.rests)
		}
	})
}

func TestQuestionsAreAskedOnNoGrid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		checks, pings := map[time.Duration]bool{}, map[time.Duration]bool{}
		now := time.Now()
		for range 100 {
			in := c.set.CheckIn(now.Add(time.Hour))
			if in < CheckEvery*3/4 || in >= CheckEvery*5/4 {
				t.Fatalf("checks after %v, want about %v", in, CheckEvery)
			}
			c.ask()
			after := c.askAfter(now.Add(time.Hour), false)
			if after > pingIdle || after < pingIdle*3/5 {
				t.Fatalf("asks after %v, want %v or up to two fifths less", after, pingIdle)
			}
			checks[in], pings[after] = true, true
		}
		if len(checks) < 90 || len(pings) < 10 {
			t.Errorf("got %d and %d times of 100 that differ, want many", len(checks), len(pings))
		}
	})
}

// What the patience was before anything had come holds nothing up when something has.
func TestAFirstAnswerShortensTheNextDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		d.peer = nil
		s := c.newBulk(1)
		s.add(1000)
		time.Sleep(100 * time.Millisecond)
		c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
		s.add(1000)
		time.Sleep(doubtLeast + 10*time.Millisecond)
		if synctest.Wait(); !c.Doubted() {
			t.Fatalf("not doubted after %v, want that where an answer took 0.1 s", doubtLeast)
		}
		if c.Close(); c.Cause() != Silent {
			t.Errorf("a carrier in doubt that is given up: got cause %v, want %v", c.Cause(), Silent)
		}
	})
}
