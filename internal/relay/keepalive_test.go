package relay

import (
	"io"
	"net"
	"testing"
	"time"

	"culvert/internal/transport"
)

// textEnd is a transport of the gateway door that tells what is written to it.
type textEnd struct {
	memTransport
	wrote chan []byte
}

func (textEnd) Profile() *transport.Profile     { return transport.GatewayProfile() }
func (textEnd) NextMessage() (io.Reader, error) { return nil, net.ErrClosed }
func (e textEnd) WriteMessage(b []byte) error   { e.wrote <- append([]byte(nil), b...); return nil }
func (textEnd) Close() error                    { return nil }
func (e textEnd) sends(within time.Duration) bool {
	select {
	case <-e.wrote:
		return true
	case <-time.After(within):
		return false
	}
}

func TestAClockThatWasSetBackStopsNoKeepAlive(t *testing.T) {
	t.Parallel()
	e := textEnd{wrote: make(chan []byte, 1)}
	c := NewCarrier(e, NewTable(Events{}, nil), 0)
	c.lastTx.Store(time.Now().Add(time.Hour).UnixNano())
	c.keep(time.Now())
	if !e.sends(time.Second) {
		t.Error("got nothing sent, want something before the gateway finds the carrier idle")
	}
}

func TestAClockThatWasSetBackHidesNoSilence(t *testing.T) {
	t.Parallel()
	c := NewCarrier(textEnd{wrote: make(chan []byte, 9)}, NewTable(Events{}, nil), 0)
	now := time.Now()
	c.pinged.Store(now.Add(time.Hour).UnixNano())
	for range 2 * int(transport.GatewayProfile().PongWait/CheckEvery) {
		now = now.Add(CheckEvery)
		c.Check(now)
	}
	if !c.Dead() {
		t.Error("the carrier lives although no Pong has come, want it ended")
	}
}
