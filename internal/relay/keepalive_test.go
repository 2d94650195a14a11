package relay

import (
	"io"
	"net"
	"testing"
	"time"
)

// textEnd is a Socket of the gateway door that tells what is written to it.
type textEnd struct{ wrote chan []byte }

func (textEnd) text()                           {}
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
	e := textEnd{make(chan []byte, 1)}
	c := NewCarrier(e, NewTable(Events{}, nil), 0)
	c.lastTx.Store(time.Now().Add(time.Hour).UnixNano())
	c.keep(time.Now())
	if !e.sends(time.Second) {
		t.Error("got nothing sent, want something before the gateway finds the carrier idle")
	}
}

func TestAClockThatWasSetBackHidesNoSilence(t *testing.T) {
	t.Parallel()
	c := NewCarrier(textEnd{make(chan []byte, 9)}, NewTable(Events{}, nil), 0)
	now := time.Now()
	c.pinged.Store(now.Add(time.Hour).UnixNano())
	for range 2 * int(textManner.pongWait/CheckEvery) {
		now = now.Add(CheckEvery)
		c.Check(now)
	}
	if !c.Dead() {
		t.Error("the carrier lives although no Pong has come, want it ended")
	}
}

func TestAClientMissesAMessageOfTheOrigin(t *testing.T) {
	t.Parallel()
	s := new(textSocket)
	s.in.note(0)
	s.in.note(2)
	if got := s.Doubt(time.Now().Add(maxDoubt + time.Second)); got < maxDoubt {
		t.Errorf("message 1 is missing for 41 s: got %v of doubt, want more than %v", got, maxDoubt)
	}
	s.in.note(1)
	if got := s.Doubt(time.Now().Add(maxDoubt)); got != 0 {
		t.Errorf("all have come: got %v of doubt, want none", got)
	}
}
