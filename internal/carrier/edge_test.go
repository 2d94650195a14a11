package carrier

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/pace"
	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// edgeDoor is a door whose edge answers or does not.
type edgeDoor struct {
	*door
	isSilent bool
}

func (d *edgeDoor) Probe() error {
	if d.isSilent {
		select {
		case <-time.After(transport.ProbeLimit):
		case <-d.closed:
		}
		return ErrDead
	}
	return nil
}

// A client doubts a carrier whose edge is silent, soon, and none whose edge answers though the origin
// does not: a function may take seconds.
func TestACarrierWhoseEdgeIsSilentIsDoubted(t *testing.T) {
	t.Parallel()
	for _, isSilent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := &edgeDoor{newDoor(transport.GatewayProfile()), isSilent}
			c, _ := newOfTransport(d.door, d, true)
			c.edgeAnswered(150 * time.Millisecond)
			began := time.Now()
			c.newBulk(1).add(100)
			for !c.Doubted() && time.Since(began) < 20*time.Second {
				time.Sleep(50 * time.Millisecond)
				synctest.Wait()
			}
			took := time.Since(began)
			if c.Doubted() != isSilent || isSilent && took > 1200*time.Millisecond {
				t.Errorf("silent %v: got doubted %v after %v", isSilent, c.Doubted(), took)
			}
			c.trust()
			if c.Doubted() {
				t.Error("what the peer has sealed is not believed")
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
}

// An origin sends no more text by a carrier of the gateway door than its client says it may bring.
func TestAnOriginKeepsWithinTheBudgetOfMessages(t *testing.T) {
	t.Parallel()
	for _, budget := range []uint32{wire.LeastBudget, 5_000, 12_000} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.GatewayProfile())
			c, _ := newOf(d, false)
			c.takePath(0, budget)
			s := c.newBulk(1)
			s.add(1 << 20)
			for range 20 {
				time.Sleep(100 * time.Millisecond)
				c.Put(wire.Frame{Kind: wire.Pong})
				synctest.Wait()
			}
			brought := 0
			for _, m := range d.messages() {
				brought += wire.MessageBudget(len(m))
			}
			if brought > int(budget) || brought < int(budget)*6/10 {
				t.Errorf("got %d bytes by a carrier that may bring %d, want no more, and little less", brought, budget)
			}
			if s.mu.Lock(); s.spent != 1 {
				t.Errorf("the sender was told %d times that the budget is spent, want once", s.spent)
			}
			s.mu.Unlock()
			c.Close()
			c.set.tasks.Wait()
		})
	}
}

// What has come counts once, also of a message that comes again.
func TestAMessageThatComesAgainCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.GatewayProfile()))
		const record = 40
		m := append([]byte{0, 0, 0, 0, 0, byte(session.Turn), 1}, make([]byte, record)...)
		for range 3 {
			if err := c.takeBody(bytes.Clone(m)); err != nil {
				t.Fatal(err)
			}
		}
		if c.in.bytes != record {
			t.Errorf("got %d bytes counted, want %d", c.in.bytes, record)
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// A client whose first Ping is not answered, as the message that answers it froze, asks the edge all the
// same, and doubts the carrier soon.
func TestACarrierThatFreezesInItsFirstMessageIsDoubted(t *testing.T) {
	t.Parallel()
	for _, isLive := range []bool{true, false} { // no record may have come whole
		synctest.Test(t, func(t *testing.T) {
			d := &edgeDoor{newDoor(transport.GatewayProfile()), true}
			c, _ := newOfTransport(d.door, d, true)
			c.live.Store(isLive)
			c.alive.pinged.Store(time.Now().UnixNano())
			time.Sleep(100 * time.Millisecond)
			c.heard() // of a part of a message
			began := time.Now()
			for !c.Doubted() && time.Since(began) < 20*time.Second {
				time.Sleep(checkBulk)
				c.Check(time.Now())
				synctest.Wait()
			}
			if took := time.Since(began); took > doubtFirst+time.Second {
				t.Errorf("live %v: got a doubt after %v, want that within %v", isLive, took, doubtFirst+time.Second)
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
}

// What a client answers may be lost, which it does not notice: an origin asks again, and gives the carrier
// up in the end.
func TestAnOriginAsksAgainWhatHasCome(t *testing.T) {
	t.Parallel()
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.GatewayProfile())
			c, _ := newOf(d, false)
			c.path.window = pace.New(0)
			c.newBulk(1).add(1 << 20)
			time.Sleep(5 * time.Second)
			if !c.Doubted() {
				t.Error("a carrier is not doubted whose client does not say what has come")
			}
			sent := c.Moved()
			if answers {
				if err := c.confirm(sent, 1); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			if went := c.Moved() > sent+(4<<10); went != answers || !answers && !c.Dead() {
				t.Errorf("answers %v: got more sent %v, dead %v", answers, went, c.Dead())
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
}

// A client that says something, now and then, but never what has come, or never more of it, has an origin ask, and
// pay, no more than so often before it ends the carrier.
func TestAnOriginPaysForFewQuestions(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(c *Carrier) error{
		"anything":     func(c *Carrier) error { c.heard(); return nil },
		"an old count": func(c *Carrier) error { c.heard(); return c.confirm(1, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDoor(transport.GatewayProfile())
				c, _ := newOf(d, false)
				c.path.window = pace.New(0)
				c.newBulk(1).add(1 << 20)
				time.Sleep(time.Second)
				began := len(d.messages())
				for i := 0; i < 10 && !c.Dead(); i++ {
					if err := say(c); err != nil {
						t.Fatal(err)
					}
					time.Sleep(30 * time.Second)
				}
				if asked := len(d.messages()) - began; !c.Dead() || asked > mostRepeats+1 {
					t.Errorf("got %d messages more, and dead %v after %d answers", asked, c.Dead(), 10)
				}
				c.Close()
				c.set.tasks.Wait()
			})
		})
	}
}

// A question of a carrier that takes nothing now waits once.
func TestAQuestionThatWaitsIsNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		d.stuck = make(chan struct{})
		c, _ := newOf(d, false)
		c.newBulk(1).add(100)
		time.Sleep(time.Second)
		for range 3 {
			c.mu.Lock()
			c.askAgain(time.Now())
			c.mu.Unlock()
		}
		if c.mu.Lock(); len(c.queue.control) != 9 {
			t.Errorf("got %d bytes that wait, want one Ping", len(c.queue.control))
		}
		c.mu.Unlock()
		c.Close()
		c.set.tasks.Wait()
	})
}

// A question that goes alone, as the path is full of what asks nothing, is one whose answer is owed.
func TestAQuestionThatGoesAloneIsAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOf(newDoor(transport.GatewayProfile()), false)
		c.path.window = pace.New(0)
		c.mu.Lock()
		c.makeLane()
		c.mu.Unlock()
		c.writing(20<<10, 20<<10, told{bulk: true})
		c.newBulk(1).add(1 << 20)
		time.Sleep(time.Second)
		if c.mu.Lock(); c.doubt.owed.IsZero() || c.doubt.upto != c.out.sent || c.out.sent == 20<<10 {
			t.Errorf("got an answer owed to %d bytes of %d, want that to all, and a question", c.doubt.upto, c.out.sent)
		}
		c.mu.Unlock()
		if time.Sleep(2 * doubtFirst); !c.Doubted() {
			t.Error("the carrier is not doubted")
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// What a client's carrier may bring says nothing of what it may send: its budget has no upload ask.
func TestABudgetHasNoUploadAsk(t *testing.T) {
	t.Parallel()
	var asks [2]int
	for i, budget := range []uint32{0, 12_000} {
		synctest.Test(t, func(t *testing.T) {
			d := newDoor(transport.GatewayProfile())
			c, _ := newOf(d, true)
			c.Follow(0, freePath(), budget)
			c.newBulk(1).add(3 << 20)
			time.Sleep(2 * time.Second)
			for _, m := range d.messages() {
				if asksPace(m[numberLen : len(m)-wire.RecordOverhead]) {
					asks[i]++
				}
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
	if asks[0] != asks[1] {
		t.Errorf("got %d messages that ask by a carrier with a budget, %d by one without", asks[1], asks[0])
	}
}

// The last message of a budget asks what has come, so that the end of its carrier loses nothing.
func TestTheLastMessageOfABudgetAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		c, _ := newOf(d, false)
		c.takePath(0, 12_000)
		c.newBulk(1).add(1 << 20)
		time.Sleep(time.Second)
		if c.mu.Lock(); !c.queue.spent || c.doubt.upto != c.out.sent {
			t.Errorf("got spent %v, an answer owed to %d bytes of %d, want that to all", c.queue.spent, c.doubt.upto, c.out.sent)
		}
		c.mu.Unlock()
		if c.AllCame() {
			t.Error("all has come before the client says so")
		}
		if err := c.confirm(c.Moved(), 1); err != nil || !c.AllCame() {
			t.Errorf("got %v, all came %v, once the client has said so", err, c.AllCame())
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// A client tells for how long a carrier of the gateway door had rested that is silent now: it may have been cut,
// and did not freeze at what it had brought. What is said to one in doubt does not change that.
func TestACarrierWhoseEdgeIsSilentTellsHowLongItHadRested(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(*Carrier){
		"a message":           func(c *Carrier) { c.newBulk(1).add(100) },
		"a question":          (*Carrier).ask,
		"a Pong, a message":   func(c *Carrier) { c.Put(wire.Frame{Kind: wire.Pong}); c.newBulk(1).add(100) },
		"a message, and more": func(c *Carrier) { c.newBulk(1).add(100); time.Sleep(5 * time.Second); c.newBulk(2).add(100); c.ask() },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &edgeDoor{newDoor(transport.GatewayProfile()), false}
			c, _ := newOfTransport(d.door, d, true)
			c.edgeAnswered(150 * time.Millisecond)
			time.Sleep(10 * time.Second)
			c.ask()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			d.isSilent = true
			say(c)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			rest, survived := c.Rested(time.Now())
			if !c.Doubted() || rest.Round(time.Second) != 20*time.Second || survived.Round(time.Second) != 10*time.Second {
				t.Errorf("%s: got doubted %v, %v of rest, %v survived, want 20 s and 10", name, c.Doubted(), rest, survived)
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
}

// What the edge answers comes by the connection, too, and so takes a part of what that may bring.
func TestAnswersOfTheEdgeTakeAPartOfTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &edgeDoor{newDoor(transport.GatewayProfile()), false}
		c, _ := newOfTransport(d.door, d, true)
		c.Follow(0, nil, wire.LeastBudget)
		for asked := 0; !c.Spent(); asked++ {
			if asked == wire.LeastBudget/wire.BudgetHead {
				t.Fatal("the edge has answered as much as the carrier may bring, and the budget is not spent")
			}
			c.ask()
			time.Sleep(time.Second)
		}
		if !c.HalfSpent() {
			t.Error("the budget is spent, and half of it is not")
		}
		c.Close()
		c.set.tasks.Wait()
	})
}

// Whoever waits for the edge before it ends a carrier waits no longer than it says.
func TestASilentEdgeIsWaitedForNoLongerThanAsked(t *testing.T) {
	t.Parallel()
	for _, isSilent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := &edgeDoor{newDoor(transport.GatewayProfile()), isSilent}
			c, _ := newOfTransport(d.door, d, true)
			began := time.Now()
			if answers := c.EdgeAnswers(2 * time.Second); answers == isSilent || time.Since(began) > 2*time.Second {
				t.Errorf("silent %v: got %v after %v", isSilent, answers, time.Since(began))
			}
			c.Close()
			c.set.tasks.Wait()
		})
	}
}
