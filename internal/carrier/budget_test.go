package carrier

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// An origin sends no more by a carrier than its client says that it may bring, tells its senders
// when that is so, and goes on when it may be more.
func TestAnOriginKeepsWithinTheBudgetOfACarrier(t *testing.T) {
	t.Parallel()
	for _, budget := range []uint32{wire.LeastBudget, 5_000, 14_000} {
		synctest.Test(t, func(t *testing.T) {
			c, d := newUnanswered(false)
			defer c.Close()
			c.takePath(0, budget)
			s := c.newBulk(1)
			s.add(1 << 20)
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
				c.Put(wire.Frame{Kind: wire.Pong})
				synctest.Wait()
			}
			brought := 0
			for _, m := range d.messages() {
				brought += len(m) - wire.RecordHead + wire.BudgetHead
			}
			if brought > int(budget) || brought < int(budget)*3/4 {
				t.Errorf("got %d bytes by a carrier that may bring %d, want no more, and little less", brought, budget)
			}
			if s.mu.Lock(); s.spent != 1 {
				t.Errorf("the sender was told %d times that the budget is spent, want once", s.spent)
			}
			s.mu.Unlock()
			before := len(d.messages())
			c.takePath(0, budget+10_000)
			synctest.Wait()
			if len(d.messages()) == before {
				t.Error("got nothing more when more may come")
			}
		})
	}
}

// What a client says of a budget may come again, or be less than was spent: nothing goes then, as nothing may, and more
// does as soon as it may. An origin has none to say.
func TestABudgetMayBeSaidAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := newUnanswered(false)
		defer c.Close()
		s := c.newBulk(1)
		goes := func(number byte, budget uint32) bool {
			before := len(d.messages())
			c.takePath(number, budget)
			s.add(64 << 10)
			for range 5 {
				time.Sleep(100 * time.Millisecond)
				c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
				synctest.Wait()
			}
			return len(d.messages()) > before
		}
		for i, say := range []struct {
			number byte
			budget uint32
			goes   bool
		}{
			{0, 5_000, true}, {0, 5_000, false}, {1, wire.LeastBudget, false}, {wire.MaxPaths - 1, 5_000, false}, {0, 9_000, true},
			{0, wire.LeastBudget, false}, {0, 1<<32 - 1, true}, {0, 5_000, false}, {0, 0, true},
		} {
			if got := goes(say.number, say.budget); got != say.goes {
				t.Errorf("step %d, a budget of %d: got something sent %v, want %v", i+1, say.budget, got, say.goes)
			}
		}
		near, _ := newOf(newDoor(transport.StreamProfile()), true)
		defer near.Close()
		if err := near.carrierWide(&counter{}, wire.Frame{Kind: wire.Path, Num: wire.LeastBudget}); !errors.Is(err, wire.ErrFrame) {
			t.Errorf("an origin says a budget: got %v, want %v", err, wire.ErrFrame)
		}
	})
}

// A carrier in doubt is doubted already: what goes by it sets no timer more, until it is trusted.
func TestACarrierInDoubtSetsNoTimers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOf(newDoor(transport.StreamProfile()), true)
		defer c.Close()
		for _, doubted := range []bool{true, false} {
			c.doubted.Store(doubted)
			c.mu.Lock()
			c.owe(time.Now())
			if set := !c.doubt.timer.IsZero(); set == doubted {
				t.Errorf("in doubt %v: got a timer %v", doubted, set)
			}
			c.mu.Unlock()
		}
	})
}

// A carrier that owes no answer is not held back by what its client suspects: none would come
// that shows it wrong.
func TestACarrierThatOwesNothingIsNotSuspected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := newUnanswered(false)
		defer c.Close()
		s := c.newBulk(1)
		c.Suspect(true)
		s.add(1000)
		synctest.Wait()
		if len(d.messages()) == 0 || c.Doubted() {
			t.Fatalf("got %d messages, doubted %v, want bytes to go", len(d.messages()), c.Doubted())
		}
		c.Suspect(true)
		if !c.Doubted() {
			t.Error("one that owes an answer is not suspected")
		}
		c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
		if c.Doubted() {
			t.Error("one that has answered is suspected yet")
		}
	})
}

// A client doubts a carrier that owes an answer for longer than any took, and trusts it again,
// and for longer, once one comes.
func TestACarrierIsDoubtedWhenAnAnswerStaysOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newUnanswered(true)
		defer c.Close()
		s := c.newBulk(1)
		answer := func(after time.Duration) {
			s.add(1000)
			time.Sleep(after)
			synctest.Wait()
			c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
		}
		wait := func() (took time.Duration) {
			began := time.Now()
			s.add(1000)
			for !c.Doubted() && time.Since(began) < time.Minute {
				time.Sleep(10 * time.Millisecond)
				synctest.Wait()
			}
			return time.Since(began)
		}
		if got := wait(); got < doubtFirst || got > doubtFirst+50*time.Millisecond {
			t.Errorf("doubted after %v before any answer, want %v", got, doubtFirst)
		}
		c.confirm(sentBy(c), uint64(time.Now().UnixMicro()))
		if c.Doubted() {
			t.Fatal("an answer is not believed")
		}
		time.Sleep(5 * time.Minute) // what was wrong is forgotten
		for range 40 {
			answer(100 * time.Millisecond)
			time.Sleep(10 * time.Second)
		}
		if got := wait(); got < doubtLeast || got > doubtLeast+50*time.Millisecond {
			t.Errorf("doubted after %v where answers take 0.1 s, want %v", got, doubtLeast)
		}
		answer(0)
		if got := wait(); got < 2*doubtLeast {
			t.Errorf("doubted again after %v, want twice as long as before", got)
		}
	})
}

// A turn of bulk may hold no more than an ack, of which the peer does not say that it came: it is
// neither in flight nor owed an answer.
func TestAnAckInBulksTurnOwesNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, d := newUnanswered(false)
		defer c.Close()
		var s acker
		c.Adopt(&s.slot, &s)
		s.slot.Ready(1 << 20)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(d.messages()) == 0 || c.Doubted() {
			t.Errorf("got %d messages, doubted %v, want an ack that nobody waits for", len(d.messages()), c.Doubted())
		}
	})
}

// acker is a Sender that has an ack to say when it is asked for bulk.
type acker struct{ slot Slot }

func (*acker) Fill(b []byte, _ Turn) ([]byte, int) {
	f := wire.Frame{Kind: wire.Ack, Tunnel: 1}
	return f.Append(b), 0
}

func (*acker) Lost()  {}
func (*acker) Spent() {}
