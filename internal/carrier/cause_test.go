package carrier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/session"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

func TestAnErrorTellsWhyACarrierEnded(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]Cause{
		io.EOF: Closed, syscall.ECONNRESET: Cut, errors.New("anything else"): Cut, session.ErrElsewhere: Elsewhere,
		transport.ErrLost: Lost, ErrMissing: Lost, wire.ErrFrame: Broken, session.ErrRecord: Broken,
	} {
		if got := causeOf(fmt.Errorf("read: %w", err)); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

// A metric has a label for each cause, and people read it.
func TestEachCauseHasAnotherText(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"": true}
	for _, c := range Causes() {
		if seen[c.String()] {
			t.Errorf("cause %d: got %q, want a text of its own", c, c)
		}
		seen[c.String()] = true
	}
	if got := causes.String(); got != "" {
		t.Errorf("got %q for no cause, want nothing", got)
	}
}

// ended serves a carrier over d until it ends by act, and returns what the set is told.
func ended(d *door, act func(*Carrier)) (told []Cause) {
	p := &plainParty{state: session.Live, handler: new(counter)}
	s := NewSet(time.Now, tasks.NewGroup(), true)
	s.Ended = func(why Cause) { told = append(told, why) }
	c := New(s, d, p, 7)
	done := make(chan struct{})
	go func() { defer close(done); c.Serve() }()
	synctest.Wait()
	act(c)
	<-done
	return told
}

func TestASetIsToldOnceWhyACarrierEnded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act  func(*Carrier)
		want Cause
	}{
		"nobody needs it":      {func(c *Carrier) { c.Close(); c.CloseFor(Silent) }, EndedHere},
		"no answer comes":      {func(c *Carrier) { time.Sleep(5 * time.Second); c.Check(time.Now()); c.Close() }, Silent},
		"the connection fails": {func(c *Carrier) { c.transport.Close() }, Cut},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := ended(newDoor(transport.StreamProfile()), c.act); len(got) != 1 || got[0] != c.want {
				t.Errorf("%s: got %v, want %q once", name, got, c.want)
			}
		})
	}
}

// What is asked for by Echo is as much up as down, and says nothing of round trips.
func TestAnEchoCountsWhatComesAndLeavesTheRoundTripAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, p := newOver(d)
		c.alive.pinged.Store(time.Now().Add(-time.Second).UnixNano())
		c.Echo(1000)
		synctest.Wait()
		up := 0
		for _, r := range d.records(t) {
			for _, f := range r {
				if f.Kind == wire.Pad {
					continue
				}
				up++
				if err := c.carrierWide(p.handler, wire.Frame{Kind: wire.Pong, Pos: f.Pos}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if up != 111 || c.Echoed() != 999 || c.RTT() != 0 {
			t.Errorf("got %d Pings, %d bytes back and a round trip of %v, want 111, 999 and none", up, c.Echoed(), c.RTT())
		}
	})
}

func TestACarrierThatRestsAsksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(transport.StreamProfile())
		c, _ := newOver(d)
		c.Rest(time.Now().Add(time.Minute))
		for range 59 {
			time.Sleep(CheckEvery)
			c.Check(time.Now())
		}
		if n := len(bytes.Join(d.messages(), nil)); n > 0 {
			t.Errorf("got %d bytes sent, want none", n)
		}
		time.Sleep(2 * CheckEvery)
		c.Check(time.Now())
		if synctest.Wait(); len(d.messages()) == 0 {
			t.Error("got nothing sent after the rest, want a Ping")
		}
	})
}
