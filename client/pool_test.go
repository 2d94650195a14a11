package client

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/transport"
)

// deadSocket brings nothing and takes everything until it is closed.
type deadSocket struct {
	transport.Transport // for the methods that this test does not reach
	closed              chan struct{}
}

func (s deadSocket) NextMessage() (io.Reader, error) { <-s.closed; return nil, net.ErrClosed }
func (s deadSocket) WriteMessage([]byte) error       { return nil }
func (s deadSocket) Start(transport.Owner)           {}
func (s deadSocket) Profile() *transport.Profile     { return transport.StreamProfile() }
func (s deadSocket) Close() error                    { close(s.closed); return nil }

func (c *Client) carrierOf(s transport.Transport) *activeCarrier {
	l := &activeCarrier{Carrier: c.table.NewCarrier(s, 0), began: time.Now()}
	l.OriginRef = c.pool.origin
	go func() { c.pool.onDeath(l, l.Serve()) }()
	return l
}

// An origin that drains says so first thing, perhaps before the carrier is the
// main one.
func TestADrainThatCameBeforeItsCarrierWasMainIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: &link.Link{Fronts: []link.Front{{}}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		main := c.carrierOf(deadSocket{closed: make(chan struct{})})
		defer main.Close()
		before := c.pool.originNow()
		main.Retire() // as a Drain does
		c.pool.onDrain(main.Carrier)
		c.pool.onConnected(main)
		var wait dial.Backoff
		go c.watch(ctx, main, &wait)
		synctest.Wait()
		if c.pool.originNow() == before {
			t.Error("the client stays with an origin that has said Drain, want another sought")
		}
		cancel()
		synctest.Wait()
	})
}

// The pool's states and every way from one to another.
func TestThePoolsStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: &link.Link{Fronts: []link.Front{{}}}})
		if err != nil {
			t.Fatal(err)
		}
		p := c.pool
		l, other := c.carrierOf(deadSocket{closed: make(chan struct{})}), c.carrierOf(deadSocket{closed: make(chan struct{})})
		defer other.Close()
		defer l.Close()
		for _, s := range []struct {
			name string
			do   func()
			want poolState
		}{
			{"at first", func() {}, connecting},
			{"a carrier", func() { p.onConnected(l) }, connected},
			{"another's origin drains", func() { p.onDrain(other.Carrier) }, connected},
			{"another dies", func() { p.onDeath(other, net.ErrClosed) }, connected},
			{"its origin drains", func() { p.onDrain(l.Carrier) }, draining},
			{"it is to be replaced", func() { p.onVacant(nil) }, connecting},
			{"one that was to be left before", func() { l.Retire(); p.onConnected(l) }, draining},
			{"it dies", func() { p.onDeath(l, net.ErrClosed) }, lost},
			{"no successor", func() { p.onVacant(dial.ErrNothing) }, connecting},
			{"one that died before", func() { p.onConnected(l) }, lost},
		} {
			before := p.view()
			s.do()
			now := p.view()
			if now.state != s.want || (now.main == nil) != (s.want == connecting) {
				t.Errorf("%s: got state %d, main %v; want %d", s.name, now.state, now.main != nil, s.want)
			}
			select {
			case <-before.changed:
			default:
				if now.state != before.state {
					t.Errorf("%s: nobody was told of the change", s.name)
				}
			}
		}
	})
}
