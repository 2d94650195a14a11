package carrier

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestTheTextHasTheOpeningsNumbers(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{
		fmt.Sprintf("%d bytes at the client and %d at the origin", fillUp, fillDown), fmt.Sprintf("for %d ms at most", mostHold.Milliseconds()),
		fmt.Sprintf("%d ms what nobody waits for", mostIdleHold.Milliseconds()), fmt.Sprintf("more than %d bytes", mostWaiting),
		fmt.Sprintf("at most %d, and as many bytes", session.MaxFill),
	} {
		if !strings.Contains(string(text), words) {
			t.Errorf("the text does not say %q", words)
		}
	}
}

func TestOpeningsAreThoseOfManySites(t *testing.T) {
	t.Parallel()
	all := connections()
	if len(all) < 40*perSite || len(all)%perSite != 0 {
		t.Fatalf("got %d connections, %d of each site", len(all), perSite)
	}
	for i, steps := range all {
		isDown := func(s step) bool { return s&stepDown != 0 }
		isShort := func(s step) bool { return s&stepSize < leastFilled }
		if len(steps) < 10 || len(steps) > 24 || !slices.ContainsFunc(steps, isDown) || slices.ContainsFunc(steps, isShort) {
			t.Errorf("connection %d has %d steps: %x", i, len(steps), steps)
		}
	}
}

// Both ends of a carrier know its opening, by what the user's secret and the token say; another user's is another.
func TestBothEndsKnowTheOpening(t *testing.T) {
	t.Parallel()
	secret, all := someSecret(), map[string]bool{}
	for nonce := range uint64(100) {
		steps := stepsOf(secret, nonce)
		if !slices.Equal(steps, stepsOf(secret, nonce)) {
			t.Fatal("two of the same carrier differ")
		}
		all[fmt.Sprint(steps)] = true
	}
	if len(all) != perSite {
		t.Errorf("got %d openings of a user, want %d", len(all), perSite)
	}
	for range 100 {
		all[fmt.Sprint(stepsOf(someSecret(), 1))] = true
	}
	if len(all) < 100 {
		t.Errorf("got %d openings of 101 users", len(all))
	}
}

// played is a carrier that has an opening, at one of the ends.
func played(t *testing.T, isClient bool) (*Carrier, *door, *plainParty) {
	t.Helper()
	d := newDoor(transport.StreamProfile())
	c, party := newOf(d, isClient)
	party.shapes = true
	c.Play(&wire.Token{5: byte(time.Now().UnixNano())})
	return c, d, party
}

// Bytes of a stream wait for a turn no longer than they may, whoever's it is.
func TestNobodyWaitsLongForATurn(t *testing.T) {
	t.Parallel()
	for _, isClient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			for range 20 {
				c, d, _ := played(t, isClient)
				s := c.newBulk(1)
				began := time.Now()
				s.add(100)
				time.Sleep(mostHold + time.Millisecond)
				synctest.Wait()
				if len(s.filled) == 0 || d.at[len(d.at)-1].Sub(began) > mostHold {
					t.Errorf("client %v: got %d messages within %v", isClient, len(d.wrote), mostHold)
				}
				s.slot.Drop()
				c.Close()
			}
		})
	}
}

// What moves much is played no longer.
func TestBulkEndsTheOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := played(t, true)
		s := c.newBulk(1)
		s.add(mostWaiting + 1)
		time.Sleep(mostHold + time.Millisecond)
		synctest.Wait()
		if c.opening.steps != nil || c.queue.shut {
			t.Error("bulk waits for its turn")
		}
		s.slot.Drop()
		c.Close()
	})
}

// An end that has nothing to say, and whose peer says whatever it likes, fills no more than it may, and is done then.
func TestWhatFillsMessagesIsBounded(t *testing.T) {
	t.Parallel()
	for isClient, most := range map[bool]int{true: fillUp, false: fillDown} {
		synctest.Test(t, func(t *testing.T) {
			for range 20 {
				c, d, _ := played(t, isClient)
				c.beginOpening()
				for range 200 {
					c.hearStep()
					time.Sleep(mostPerson / 10)
				}
				synctest.Wait()
				if got := padded(t, d); got > most || got == 0 {
					t.Errorf("client %v: got %d bytes that fill messages, want some and %d at most", isClient, got, most)
				}
				if c.opening.steps != nil {
					t.Errorf("client %v: the opening is not over after %d messages", isClient, len(d.wrote))
				}
				c.Close()
			}
		})
	}
}

// Before records may go, what fills messages is plain, and counts as what the carrier brings.
func TestWhatFillsMessagesMayBePlain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, party := played(t, false)
		party.held = true
		c.beginOpening()
		for range 100 {
			c.hearStep()
			time.Sleep(time.Second)
		}
		synctest.Wait()
		n := 0
		for _, m := range d.messages() {
			if n += len(m); len(m) > mostPlain {
				t.Errorf("got a message of %d bytes", len(m))
			}
		}
		if n == 0 || n > fillDown || c.path.spent == 0 {
			t.Errorf("got %d bytes, of which %d count", n, c.path.spent)
		}
		c.Close()
	})
}

// Where a carrier may bring little, none of it is spent on an opening once the origin knows.
func TestABudgetEndsTheOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := played(t, false)
		c.takePath(1, 15_000)
		if c.opening.steps != nil || c.queue.shut {
			t.Error("the opening goes on")
		}
		c.Close()
	})
}

// A carrier that ends while something waits leaves nobody behind.
func TestACarrierMayEndInItsOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, true)
		c.Ping()
		c.Close()
		time.Sleep(time.Minute)
		c.set.tasks.Wait()
		if len(d.wrote) != 0 {
			t.Errorf("got %d messages of a dead carrier", len(d.wrote))
		}
	})
}
