package client

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/session"
)

// carrierTo serves a carrier to p.
func (c *Client) carrierTo(p *peer) *activeCarrier {
	sock := p.socket(false)
	l := &activeCarrier{home: c.pool.current(), ticket: sock.offered, began: time.Now()}
	l.Carrier = l.home.session.NewCarrier(sock, l.home.session.Party(session.Stream, sock.token))
	go func() { c.pool.onDeath(l, l.Serve()) }()
	return l
}

// An origin that drains says so first thing, perhaps before the carrier is the
// main one.
func TestADrainThatCameBeforeItsCarrierWasMainIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: linkTo(link.Front{})})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		main := c.carrierTo(newPeer(t, 0))
		defer main.Close()
		before := c.pool.current()
		main.Retire() // as a Leave does
		c.pool.onDrain(main.Carrier)
		c.pool.onConnected(main)
		var wait dial.Backoff
		go c.watch(ctx, main, &wait)
		synctest.Wait()
		if c.pool.current() == before {
			t.Error("the client stays with an origin that has said Leave, want another sought")
		}
		cancel()
		synctest.Wait()
	})
}

// The pool's states and every way from one to another.
func TestThePoolsStates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: linkTo(link.Front{})})
		if err != nil {
			t.Fatal(err)
		}
		p, peer := c.pool, newPeer(t, 0)
		l, other := c.carrierTo(peer), c.carrierTo(peer)
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
