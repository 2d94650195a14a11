package carrier

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAClockThatWasSetBackStopsNoKeepAlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.GatewayProfile())
		c, _ := newOver(d)
		c.alive.lastTx.Store(time.Now().Add(time.Hour).UnixNano())
		c.keep(time.Now())
		if time.Sleep(time.Second); len(d.messages()) == 0 {
			t.Error("got nothing sent, want something before the gateway finds the carrier idle")
		}
	})
}

func TestAClockThatWasSetBackHidesNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.GatewayProfile()))
		now := time.Now()
		c.alive.pinged.Store(now.Add(time.Hour).UnixNano())
		for range 2 * int(c.Profile().PongWait/CheckEvery) {
			now = now.Add(CheckEvery)
			c.Check(now)
		}
		if !c.Dead() {
			t.Error("the carrier lives although no Pong has come, want it ended")
		}
	})
}

// trickle gives a message a piece a second.
type trickle struct{ r io.Reader }

func (s trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.r.Read(p[:min(len(p), 4<<10)])
}

func TestALargeRecordOnASlowLinkIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := newOver(newDoor(transport.StreamProfile()))
		go c.fillFrom(trickle{bytes.NewReader(make([]byte, 64<<10))}, make([]byte, 64<<10))
		for range 16 {
			time.Sleep(CheckEvery)
			c.Check(time.Now())
		}
		if c.Dead() {
			t.Error("got a dead carrier, want one that is busy")
		}
	})
}

// A frame that were dropped on a living carrier would stall its tunnel for good.
func TestACarrierThatTakesNoFramesIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		d.stuck = make(chan struct{})
		c, _ := newOver(d)
		for range maxControl {
			c.Put(wire.Frame{Kind: wire.Pong})
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.Dead() || len(c.queue.control) > 0 {
			t.Errorf("got dead %v and %d bytes kept, want a dead one", c.Dead(), len(c.queue.control))
		}
	})
}

func TestControlFramesAreCutBetweenFrames(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		d.stuck = make(chan struct{})
		c, _ := newOver(d)
		c.Put(wire.Frame{Kind: wire.Leave}) // goes out, and what follows waits
		synctest.Wait()
		const many = 5000
		for i := range uint64(many) {
			c.Put(wire.Frame{Kind: wire.Pong, Pos: i})
			if i%7 == 0 {
				c.Put(wire.Frame{Kind: wire.Answer, Body: make([]byte, 73)})
			}
		}
		s := c.newBulk(1)
		s.add(100)
		close(d.stuck)
		synctest.Wait()
		next, bytes := uint64(0), 0
		for i, record := range d.records(t) {
			size := 0
			for _, f := range record {
				size += len(f.Append(nil))
				bytes += len(f.Body) * int(f.Tunnel)
				if f.Kind == wire.Pong {
					if f.Pos != next {
						t.Fatalf("got Pong %d, want %d", f.Pos, next)
					}
					next++
				}
			}
			if size > maxBatch+smallTurn {
				t.Errorf("record %d has %d bytes", i, size)
			}
		}
		if next != many || bytes != 100 {
			t.Errorf("got %d Pongs and %d bytes, want %d and 100", next, bytes, many)
		}
		c.Close()
	})
}

func TestAllWhoUseACarrierHearThatItIsDead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		d.stuck = make(chan struct{})
		c, p := newOver(d)
		c.Start()
		var all []*bulk
		for id := range uint32(50) {
			s := c.newBulk(id + 1)
			s.add([]int{100, 10 << 10}[id%2])
			all = append(all, s)
		}
		all[9].slot.Drop()
		synctest.Wait()
		c.Close()
		synctest.Wait()
		for i, s := range all {
			if want := min(1, 1-max(0, 1-max(i-9, 9-i))); s.lost != want {
				t.Errorf("sender %d was told %d times, want %d", i, s.lost, want)
			}
		}
		h := p.handler.(*counter)
		if h.joined != 1 || h.ended != 1 {
			t.Errorf("got %d joined and %d ended, want one each", h.joined, h.ended)
		}
		all[0].slot.Ready(9) // nothing happens any more
		all[0].slot.Send(9)
		all[0].slot.ScheduleAck(time.Second)
		if c.set.Len() != 0 || c.queue.running {
			t.Errorf("got %d carriers, running %v, want none", c.set.Len(), c.queue.running)
		}
	})
}

// A message that is being taken while its carrier ends makes no carrier of a session that
// nobody takes off again.
func TestACarrierThatEndedJoinsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := newOf(newDoor(transport.GatewayProfile()), false)
		c.Start()
		c.Close()
		synctest.Wait()
		ping := wire.Frame{Kind: wire.Ping}
		body := append([]byte{0, 0, 0, 0, 0, byte(session.Turn), 1}, ping.Append(nil)...)
		c.takeMessage(append(body, make([]byte, wire.RecordOverhead)...))
		if h := p.handler.(*counter); h.joined != h.ended {
			t.Errorf("got %d joined and %d ended, want as many", h.joined, h.ended)
		}
	})
}

func TestASetCountsWhoHasProvedItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(time.Now, tasks.NewGroup(), false)
		made := func(user uint32) (*Carrier, *plainParty) {
			p := &plainParty{state: session.Unproven, handler: new(counter)}
			c := New(s, newDoor(transport.StreamProfile()), p, user)
			c.Start()
			return c, p
		}
		want := func(of, unproven, all, users int) {
			t.Helper()
			if s.Of(1) != of || s.Unproven(1) != unproven || s.AllUnproven() != all || s.Users() != users {
				t.Errorf("got %d, %d, %d, %d, want %d, %d, %d, %d", s.Of(1), s.Unproven(1), s.AllUnproven(), s.Users(), of, unproven, all, users)
			}
		}
		one, _ := made(1)
		two, late := made(1)
		other, _ := made(2)
		want(0, 2, 3, 2)
		one.becomeLive()
		one.becomeLive()
		want(1, 1, 2, 2)
		late.late = true
		s.Sweep(time.Now())
		synctest.Wait()
		want(1, 0, 1, 2)
		if !two.Dead() || one.Dead() {
			t.Error("want the carrier ended whose peer has not proved itself in time, and it alone")
		}
		other.Close()
		synctest.Wait()
		other.becomeLive() // too late
		want(1, 0, 0, 1)
		s.Close()
		synctest.Wait()
		want(0, 0, 0, 0)
		if c, _ := made(1); !c.Dead() {
			t.Error("got a living carrier of a set that is closed")
		}
		synctest.Wait()
		want(0, 0, 0, 0)
	})
}
