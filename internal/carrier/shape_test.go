package carrier

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// someSecret is one of a user's.
func someSecret() (secret [32]byte) {
	for i := range secret {
		secret[i] = byte(rand.Uint32())
	}
	return secret
}

func TestAUsersCarriersAreAlikeAndOthersAreNot(t *testing.T) {
	t.Parallel()
	one, all := someSecret(), map[shape]bool{}
	for range 100 {
		all[newShape(one, true)], all[newShape(one, false)] = true, true
	}
	if len(all) != 2 {
		t.Errorf("got %d shapes of a user, want one for each direction", len(all))
	}
	for range 100 {
		all[newShape(someSecret(), true)] = true
	}
	if len(all) < 100 {
		t.Errorf("got %d shapes of 101 users", len(all))
	}
}

func TestTheTextHasTheShapesNumbers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		fmt.Sprintf("the first %d to %d records", leastFirst, mostFirst), fmt.Sprintf("mean of %d to %d bytes, %d at most", leastMuch, mostMuch, mostPad),
		fmt.Sprintf("mean of %d to %d", leastLittle, mostLittle), fmt.Sprintf("%d at most and a quarter", mostIdle),
		fmt.Sprintf("%d to %d ms, by chance", leastWait.Milliseconds(), mostWait.Milliseconds()), fmt.Sprintf("less than %d kB", littleCame>>10),
		fmt.Sprintf("passes less than %d kB/s, or takes more than %d ms", padSlow>>10, longTrip.Milliseconds()), fmt.Sprintf("at most %d kB (a %dnd of a budget", freePad>>10, budgetShare),
		fmt.Sprintf("and a %dnd of all bytes", padShare), fmt.Sprintf("within %d ms and a round trip", mostWait.Milliseconds()), fmt.Sprintf("%.0f hours", epoch.Hours()),
		fmt.Sprintf("after %d ms at most", mostSilent.Milliseconds()),
	} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the text does not say %q", words)
		}
	}
}

// Where a path is known to be slow, less pads what goes there.
func TestASlowPathHasLittlePadding(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		c.shape = newShape(someSecret(), true)
		c.alive.rtt.Store(int64(longTrip + 1))
		say(c, 20, 100)
		if got := padded(t, d); got > freePad/4+20*200/padShare {
			t.Errorf("got %d bytes of padding, want %d and little more", got, freePad/4)
		}
		c.Close()
	})
}

// padded is how many bytes of records pad them.
func padded(t *testing.T, d *door) (n int) {
	t.Helper()
	for _, r := range d.records(t) {
		for _, f := range r {
			if f.Kind == wire.Pad {
				n += 1 + len(f.Body)
			}
		}
	}
	return n
}

// say has c say so much of a tunnel in so many records.
func say(c *Carrier, records, size int) {
	s := c.newBulk(1)
	for range records {
		s.add(size)
		synctest.Wait()
	}
	s.slot.Drop()
}

// What pads records is bounded for the first ones, and by what moves for all others, bulk not being padded at all.
func TestPaddingIsBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		records, size int
		budget        uint64
		most          int
	}{
		"the first records":                 {8, 100, 0, freePad + (8*200+freePad)/padShare},
		"the first where little is brought": {8, 100, 8000, 8000/32 + (8*200+8000/32)/padShare},
		"a thousand small ones":             {1000, 100, 0, freePad + 1000*150/padShare},
		"bulk":                              {100, 60_000, 0, freePad + 100*4/padShare},
	} {
		synctest.Test(t, func(t *testing.T) {
			for range 10 {
				d := newDoor(transport.StreamProfile())
				carrier, _ := newOver(d)
				carrier.shape, carrier.path.budget = newShape(someSecret(), true), c.budget
				say(carrier, c.records, c.size)
				if got := padded(t, d); got > c.most {
					t.Errorf("%s: got %d bytes of padding, want %d at most", name, got, c.most)
				}
				carrier.Close()
			}
		})
	}
}

func TestTheSameFirstWordsHaveManySizes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sizes := map[int]bool{}
		for range 100 {
			d := newDoor(transport.StreamProfile())
			c, _ := newOver(d)
			c.shape = newShape(someSecret(), true)
			say(c, 1, 100)
			sizes[len(d.messages()[0])] = true
			c.Close()
		}
		if len(sizes) < 25 {
			t.Errorf("got %d sizes of a hundred first records, want many", len(sizes))
		}
	})
}

// What pings for hours is of many sizes, and adds little.
func TestPingsHaveManySizes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		c.shape = newShape(someSecret(), true)
		for range 300 {
			c.alive.pinged.Store(0)
			c.Ping()
			synctest.Wait()
		}
		sizes := map[int]bool{}
		for _, m := range d.messages()[c.shape.opening:] {
			sizes[len(m)] = true
		}
		if most := freePad + 300*mostIdle; len(sizes) < 10 || padded(t, d) > most {
			t.Errorf("got %d sizes and %d bytes of padding, want many and %d at most", len(sizes), padded(t, d), most)
		}
		c.Close()
	})
}

// An ack of little waits for a part of its time that is never the same, and one of much for no longer than before.
func TestAcksOfLittleWaitForRandomTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		c.shape = newShape(someSecret(), true)
		due := func(within time.Duration) time.Duration {
			s := c.newBulk(1)
			defer s.slot.Drop()
			s.slot.ScheduleAck(within)
			began := time.Now()
			waits := func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return !c.acks.timer.IsZero()
			}
			for waits() {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			return time.Since(began)
		}
		if most := transport.StreamProfile().AckDelay; most != mostWait {
			t.Errorf("an ack waits for %v at most, and one of little for %v", most, mostWait)
		}
		times := map[time.Duration]bool{}
		for range 100 {
			wait := due(transport.StreamProfile().AckDelay)
			if times[wait] = true; wait < leastWait/4 || wait > mostWait+time.Millisecond {
				t.Errorf("an ack of little waits for %v", wait)
			}
			if wait := due(transport.StreamProfile().AckSoon); wait > transport.StreamProfile().AckSoon+time.Millisecond {
				t.Errorf("an ack of much waits for %v", wait)
			}
		}
		if len(times) < 30 {
			t.Errorf("got %d times of a hundred", len(times))
		}
	})
}

// Who pings has the peer pad its answers by less than it spends on them, and where there is a budget by next to nothing.
func TestWhoAsksGetsLessPaddingThanItSends(t *testing.T) {
	t.Parallel()
	for _, budget := range []uint64{0, 40_000} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.StreamProfile())
			c, party := newOf(d, false)
			c.shape, c.path.budget = newShape(someSecret(), false), budget
			c.shape.sent = c.shape.opening
			const questions, size = 200, 9 + wire.RecordOverhead
			for range questions {
				c.count(size, size)
				if err := c.carrierWide(party.handler, wire.Frame{Kind: wire.Ping}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
			}
			got, most := padded(t, d), int(c.Moved()/idleShare)
			if budget > 0 {
				most = min(freePad, int(budget)/budgetShare) + int(c.Moved()/padShare)
			}
			if got == 0 || got > most {
				t.Errorf("budget %d: got %d bytes of padding, want some and %d at most", budget, got, most)
			}
			c.Close()
		})
	}
}

// A user is known by their carriers neither for long nor by another front.
func TestAShapeLastsForADayAtOneFront(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, party := newOver(newDoor(transport.StreamProfile()))
		defer c.Close()
		party.shapes = true
		all := map[shape]bool{}
		for range 3 {
			for _, front := range []string{"one.example", "two.example", "one.example"} {
				c.ShapeFor(front)
				all[c.shape] = true
			}
			time.Sleep(epoch)
		}
		if len(all) != 6 {
			t.Errorf("got %d shapes by two fronts in three days, want 6", len(all))
		}
	})
}

// An origin's first word waits for the client's where the client knows it, though not for ever.
func TestAFirstWordThatIsKnownWaits(t *testing.T) {
	t.Parallel()
	for told, bounds := range map[bool][2]time.Duration{false: {0, 0}, true: {mostSilent / 4, mostSilent}} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.StreamProfile())
			carrier, party := newOf(d, false)
			party.head, party.held = append([]byte{0, byte(session.Challenge)}, make([]byte, 16)...), true
			carrier.Told = told
			began := time.Now()
			go carrier.Serve()
			time.Sleep(time.Second)
			synctest.Wait()
			if waited, n := d.at[0].Sub(began), len(d.wrote); waited < bounds[0] || waited > bounds[1] || n != 1 {
				t.Errorf("told %v: got %d messages, the first after %v", told, n, waited)
			}
			carrier.Close()
			carrier.set.tasks.Wait()
		})
	}
}

// Both ends count a Fill alike, of whatever the carrier may bring.
func TestAFillCountsAtBothEnds(t *testing.T) {
	t.Parallel()
	far, _ := newOf(newDoor(transport.StreamProfile()), false)
	defer far.Close()
	near, _ := newOver(newDoor(transport.StreamProfile()))
	defer near.Close()
	far.opening = &opening{left: 60}
	b := far.appendStep([]byte{0, 6}, 50)
	if err := near.readRecords(bytes.NewReader(b[2:])); err != nil {
		t.Fatal(err)
	}
	if far.path.spent == 0 || far.path.spent != near.path.spent || near.in.bytes != 0 {
		t.Errorf("of %d bytes the origin has counted %d and the client %d", len(b)-2, far.path.spent, near.path.spent)
	}
}

// A client's first word takes as long as a page's, one that waits for nobody's bytes.
func TestAFirstWordTakesAPagesTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := 0
		for range 50 {
			c, d, _ := played(t, true)
			c.opening.steps = []step{100, 100}
			began := time.Now()
			c.beginOpening()
			for len(d.messages()) == 0 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			took := time.Since(began)
			if took < leastFirstWord || took > mostFirstWord+time.Millisecond {
				t.Errorf("got the first word after %v, want %v to %v", took, leastFirstWord, mostFirstWord)
			}
			if took > mostNext+time.Millisecond {
				late++
			}
			c.Close()
		}
		if late == 0 {
			t.Errorf("no first word of 50 took longer than %v", mostNext)
		}
	})
}
