package carrier

import (
	"bytes"
	"fmt"
	"io"
	"net"
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
		fmt.Sprintf("%d bytes at the client and %d at the origin", fillUp, fillDown), fmt.Sprintf("for %d ms at most, %d ms where", mostHold.Milliseconds(), mostTurn.Milliseconds()),
		fmt.Sprintf("%d ms what nobody waits for", mostIdleHold.Milliseconds()),
		fmt.Sprintf("%d to %d ms", leastFirstWord.Milliseconds(), mostFirstWord.Milliseconds()), fmt.Sprintf("more than %d bytes", mostWaiting),
		fmt.Sprintf("no more than %d bytes, makes it so", mostWhole), fmt.Sprintf("the shortest at least %d ms", leastPause.Milliseconds()),
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
			for name, beside := range map[string]func(*Carrier){
				"nothing":                  func(*Carrier) {},
				"a Ping":                   (*Carrier).Ping,
				"frames without end":       func(c *Carrier) { go putFor(c, mostHold) },
				"a list of fronts, a Ping": func(c *Carrier) { c.lists.waiting = make([]byte, 400); c.Ping() },
			} {
				for range 20 {
					c, d, _ := played(t, isClient)
					beside(c)
					s := c.newBulk(1)
					s.add(100)
					time.Sleep(mostHold + time.Millisecond)
					synctest.Wait()
					if len(s.filled) == 0 {
						t.Errorf("client %v, beside %s: got no bytes in %d messages within %v", isClient, name, len(d.messages()), mostHold)
					}
					s.slot.Drop()
					c.Close()
				}
			}
		})
	}
}

// putFor has frames wait before each message of c.
func putFor(c *Carrier, d time.Duration) {
	for range d / time.Millisecond {
		c.Put(wire.Frame{Kind: wire.Pong})
		time.Sleep(time.Millisecond)
	}
}

// A timer that has fired, but was late, plays no turn that is not its own.
func TestALateTimerPlaysNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, true)
		defer c.Close()
		c.opening.steps = []step{100, 100, 100 | 6*stepPause, 100 | 6*stepPause}
		c.beginOpening()
		for len(d.messages()) < 2 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		s := c.newBulk(1)
		defer s.slot.Drop()
		s.add(100)
		c.due(1)
		c.letGo(time.Time{})
		c.letGo(time.Now())
		synctest.Wait()
		if got := len(d.messages()); got != 2 || !c.queue.shut {
			t.Errorf("got %d messages, want 2 until it is the next one's time", got)
		}
	})
}

// link is a transport to the one of the peer's, by which messages take their time.
type link struct {
	*door
	trip time.Duration
	in   <-chan sent
	to   chan<- sent
}

// sent is a message that comes then.
type sent struct {
	b  []byte
	at time.Time
}

func (l *link) WriteMessage(b []byte) error {
	select {
	case l.to <- sent{bytes.Clone(b), time.Now().Add(l.trip)}:
		return nil
	case <-l.closed:
		return net.ErrClosed
	}
}

func (l *link) NextMessage() (io.Reader, error) {
	select {
	case m := <-l.in:
		select {
		case <-time.After(time.Until(m.at)):
		case <-l.closed:
			return nil, net.ErrClosed
		}
		return bytes.NewReader(m.b), nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// download is how long so many bytes take from an origin to a client by a carrier that is new.
func download(t *testing.T, plays bool, n uint64) time.Duration {
	t.Helper()
	up, down := make(chan sent, 1000), make(chan sent, 1000)
	end := func(isClient bool, in <-chan sent, to chan<- sent) *Carrier {
		l := &link{door: newDoor(transport.StreamProfile()), trip: 40 * time.Millisecond, in: in, to: to}
		c, party := newOfTransport(l.door, l, isClient)
		l.door.peer, party.shapes = nil, true
		if plays {
			c.Play(&wire.Token{5: 1})
		}
		go c.Serve()
		return c
	}
	client, origin := end(true, down, up), end(false, up, down)
	defer client.Close()
	defer origin.Close()
	s := origin.newBulk(1)
	defer s.slot.Drop()
	began := time.Now()
	s.add(int(n))
	for client.Moved() < n {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

// What comes down is counted at once however little goes up, so that much comes as soon as without an opening.
func TestADownloadIsAsFastInAnOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var plain, plays time.Duration
		for range 10 {
			plain += download(t, false, 200<<10)
			plays += download(t, true, 200<<10)
		}
		if plays > plain+10*mostHold {
			t.Errorf("200 kB took %v by a carrier with an opening, and %v by one without, want %v more at most", plays/10, plain/10, mostHold)
		}
	})
}

// What does not fit into a message goes on by the next ones: it is no bulk.
func TestWhatDoesNotFitGoesOnInTheOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := played(t, true)
		defer c.Close()
		c.opening.steps, c.opening.left = slices.Repeat([]step{100}, 1000), 1<<20
		s := c.newBulk(1)
		defer s.slot.Drop()
		s.add(1500)
		time.Sleep(4*mostHold + time.Millisecond)
		synctest.Wait()
		if len(s.filled) < 2 || s.left > 0 || c.opening == nil {
			t.Errorf("got messages of %d, %d bytes are left, opening over: %v", s.filled, s.left, c.opening == nil)
		}
	})
}

// Records that may go at last end no opening where little waits for them, and somebody has nothing to say.
func TestWhatMayGoAtLastEndsNoOpening(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, party := played(t, true)
		defer c.Close()
		party.held = true
		s, silent := c.newBulk(1), c.newBulk(2)
		defer s.slot.Drop()
		defer silent.slot.Drop()
		s.add(40)
		party.held = false
		c.release()
		time.Sleep(mostHold + time.Millisecond)
		synctest.Wait()
		if s.left > 0 || c.opening == nil {
			t.Errorf("%d bytes are left, opening over: %v", s.left, c.opening == nil)
		}
	})
}

// wantOne wants that one message has gone, with all that a sender had.
func wantOne(t *testing.T, d *door, s *bulk) {
	t.Helper()
	synctest.Wait()
	if n := len(d.messages()); n != 1 || s.left > 0 {
		t.Errorf("got %d messages, and %d bytes are left, want one that has all", n, s.left)
	}
}

// What an app says at once goes as a whole where it is no more than pages say, though the message was to be shorter.
func TestOneMessageHasWhatWasSaidAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, true)
		defer c.Close()
		c.opening.steps = slices.Repeat([]step{80, 80 | stepDown}, 3)
		s := c.newBulk(1)
		defer s.slot.Drop()
		s.add(400)
		time.Sleep(mostHold + time.Millisecond)
		wantOne(t, d, s)
	})
}

// Bytes that waited for the session go once: no message out of turn follows that has nothing to say.
func TestWhatWaitedForTheSessionGoesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, party := played(t, true)
		defer c.Close()
		c.opening.steps = []step{200, 100 | stepDown, 100}
		party.held = true
		s := c.newBulk(1)
		defer s.slot.Drop()
		s.add(40)
		party.held = false
		c.release()
		time.Sleep(mostFirstWord + mostIdleHold)
		wantOne(t, d, s)
	})
}

// A long message is shortened rather than that it is the last.
func TestALongMessageLeavesFillsToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, true)
		defer c.Close()
		c.opening.steps = []step{stepSize, 100, 100 | stepDown, 100}
		c.beginOpening()
		time.Sleep(mostFirstWord + mostNext)
		synctest.Wait()
		if n := len(d.messages()); n != 2 || c.opening == nil {
			t.Errorf("got %d messages, opening over: %v, want two and more to come", n, c.opening == nil)
		}
	})
}

// Where a server has said a lot at once an origin does, too, with all that may fill messages.
func TestALongMessageOfAnOriginIsWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, false)
		defer c.Close()
		c.opening.steps = []step{stepDown | 1200, stepDown | 100}
		c.beginOpening()
		time.Sleep(2 * mostNext)
		synctest.Wait()
		if all := d.messages(); len(all) != 2 || len(all[0]) != 1200 {
			t.Errorf("got %d messages, the first of %d bytes, want two, of which it has 1200", len(all), len(all[0]))
		}
	})
}

// A pause is as long as one of its kind was.
func TestPausesAreAsLongAsTheyWere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for pause := range step(8) {
			c, d, _ := played(t, true)
			c.opening.steps = []step{100, 100 | pause*stepPause, 100}
			c.beginOpening()
			least, most := leastPause<<pause/2, leastPause<<pause
			if pause == 0 {
				least, most = 0, mostNext
			}
			began := time.Now()
			for len(d.messages()) < 2 {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if took := time.Since(began); took < least || took > most+mostFirstWord+time.Millisecond {
				t.Errorf("pause %d took %v, want %v to %v", pause, took, least, most)
			}
			c.Close()
		}
	})
}

// What an app says right behind what has gone is gathered, too.
func TestWhatIsSaidOneAfterAnotherIsGathered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d, _ := played(t, true)
		defer c.Close()
		c.opening.steps = slices.Repeat([]step{80, 80 | stepDown}, 5)
		s := c.newBulk(1)
		defer s.slot.Drop()
		s.add(40)
		for len(d.messages()) == 0 {
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		for range 3 {
			s.add(40)
			time.Sleep(time.Millisecond)
			synctest.Wait()
		}
		time.Sleep(mostHold)
		synctest.Wait()
		if n := len(d.messages()); n != 2 || s.left > 0 {
			t.Errorf("got %d messages, %d bytes are left, want two with all", n, s.left)
		}
	})
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
		if c.opening != nil || c.queue.shut {
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
					time.Sleep(leastPause << 4)
				}
				synctest.Wait()
				if got := padded(t, d); got > most || got == 0 {
					t.Errorf("client %v: got %d bytes that fill messages, want some and %d at most", isClient, got, most)
				}
				if c.opening != nil {
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
		if c.opening != nil || c.queue.shut {
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
