package carrier

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

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
