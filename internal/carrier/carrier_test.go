package carrier

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// quietHandler takes what carriers report and says nothing. A stream's byte has
// just moved.
type quietHandler struct{}

func (quietHandler) Deliver(*Carrier, wire.Header, []byte) error { return nil }
func (quietHandler) Draining(*Carrier)                           {}
func (quietHandler) Ended(*Carrier, []wire.Header)               {}
func (quietHandler) Active() time.Time                           { return time.Now() }

// newOver makes a client's carrier over t, alone in a set that Close is not called
// of.
func newOver(t transport.Transport) *Carrier {
	return New(NewSet(quietHandler{}, tasks.NewGroup(), true), t, 0)
}

// end is a transport from which nothing comes.
type end struct {
	profile *transport.Profile
	wrote   chan []byte   // what is written
	closed  chan struct{} // if not nil, each write waits until it is closed
}

func (end) Start(transport.Owner)           {}
func (end) NextMessage() (io.Reader, error) { return nil, net.ErrClosed }
func (end) Park(func()) bool                { return false }
func (end) Probe() error                    { return nil }
func (end) Overdue(time.Time) time.Duration { return 0 }
func (e end) Profile() *transport.Profile   { return e.profile }

func (e end) WriteMessage(b []byte) error {
	if e.closed != nil {
		<-e.closed
		return net.ErrClosed
	}
	e.wrote <- bytes.Clone(b)
	return nil
}

func (e end) Close() error {
	if e.closed != nil {
		close(e.closed)
	}
	return nil
}

func (e end) sends(within time.Duration) bool {
	select {
	case <-e.wrote:
		return true
	case <-time.After(within):
		return false
	}
}

func TestAClockThatWasSetBackStopsNoKeepAlive(t *testing.T) {
	t.Parallel()
	e := end{profile: transport.GatewayProfile(), wrote: make(chan []byte, 1)}
	c := newOver(e)
	c.live.lastTx.Store(time.Now().Add(time.Hour).UnixNano())
	c.keep(time.Now())
	if !e.sends(time.Second) {
		t.Error("got nothing sent, want something before the gateway finds the carrier idle")
	}
}

func TestAClockThatWasSetBackHidesNoSilence(t *testing.T) {
	t.Parallel()
	c := newOver(end{profile: transport.GatewayProfile(), wrote: make(chan []byte, 9)})
	now := time.Now()
	c.live.pinged.Store(now.Add(time.Hour).UnixNano())
	for range 2 * int(c.Profile().PongWait/CheckEvery) {
		now = now.Add(CheckEvery)
		c.Check(now)
	}
	if !c.Dead() {
		t.Error("the carrier lives although no Pong has come, want it ended")
	}
}

// trickle gives a message a byte a tick.
type trickle struct {
	r io.Reader
}

func (s trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return s.r.Read(p[:min(len(p), 4<<10)])
}

func TestALargeFrameOnASlowLinkIsNoSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newOver(end{profile: transport.StreamProfile(), wrote: make(chan []byte, 9)})
		go c.fill(trickle{bytes.NewReader(make([]byte, 64<<10))}, make([]byte, 64<<10))
		for range 16 {
			time.Sleep(CheckEvery)
			c.Check(time.Now())
		}
		if c.Dead() {
			t.Error("got a dead carrier, want one that is busy")
		}
	})
}

// An ack that were dropped on a living carrier would stall its tunnel for good.
func TestACarrierThatTakesNoAcksIsEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newOver(end{profile: transport.StreamProfile(), closed: make(chan struct{})})
		for range 2 * maxControl / wire.HeaderLen {
			c.PutControl(wire.Header{Kind: wire.Pong})
		}
		synctest.Wait()
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.Dead() || len(c.queue.control) > 0 {
			t.Errorf("got dead %v and %d bytes kept, want a dead one", c.Dead(), len(c.queue.control))
		}
	})
}
