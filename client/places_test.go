package client

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/transport"
)

// seenNet counts connections as a network does, from the first packet to the last: one that is being opened, or is given up, is
// there until it is over.
type seenNet struct {
	now, most, dials atomic.Int32
	lingers          time.Duration // for which one that is given up is seen yet
}

// open answers nothing, so that each connection is in TLS's handshake until it is given up.
func (n *seenNet) open(ctx context.Context, _, _ string) (net.Conn, error) {
	n.dials.Add(1)
	for now := n.now.Add(1); now > n.most.Load(); {
		n.most.Store(now)
	}
	select {
	case <-time.After(75 * time.Millisecond):
	case <-ctx.Done():
		time.Sleep(n.lingers)
		n.now.Add(-1)
		return nil, ctx.Err()
	}
	near, _ := net.Pipe()
	return &seenConn{near, n}, nil
}

type seenConn struct {
	net.Conn
	by *seenNet
}

func (c *seenConn) Close() error {
	c.by.now.Add(-1)
	return c.Conn.Close()
}

// A network never sees more connections than it may, though chat dials when bulk has taken all places, of which none is
// open yet: a dial of bulk's is given up for each, and its socket closed before.
func TestANetworkSeesNoConnectionTooMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen seenNet
		c, err := New(Config{Link: linkTo(link.Front{Host: "front.example"}), Dialer: &front.Dialer{Connect: seen.open}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		h, open := c.pool.current(), c.cfg.Dialer.Connect
		var all atomic.Int32 // that were given a place
		connect := func(ctx context.Context, ended func()) {
			all.Add(1)
			go func() {
				defer all.Add(-1)
				defer ended()
				if conn, err := open(ctx, "tcp", "192.0.2.1:443"); err == nil {
					<-ctx.Done()
					conn.Close()
				}
			}()
		}
		for range mostSeen + 2 { // more than there is room for
			p := c.spread.begin(c, time.Now())
			if p == nil {
				t.Fatal("bulk begins no dial")
			}
			connect(p.ctx, func() { c.spread.ended(p) })
			synctest.Wait()
		}
		if n := seen.dials.Load(); n != mostSeen {
			t.Errorf("bulk opened %d connections, want %d", n, mostSeen)
		}
		for range 3 { // at once
			connect(ctx, func() {})
		}
		synctest.Wait()
		if n := seen.dials.Load(); n != mostSeen+3 {
			t.Errorf("got %d connections opened, want chat's three beside bulk's", n)
		}
		time.Sleep(100 * time.Millisecond)
		if n := seen.most.Load(); n != mostSeen || c.seen(h) < mostSeen {
			t.Errorf("a network saw %d connections at once, and the client %d, want %d", n, c.seen(h), mostSeen)
		}
		cancel()
		c.stop()
		synctest.Wait()
		if taken, _ := c.places.count(); taken != 0 || seen.now.Load() != 0 || all.Load() != 0 {
			t.Errorf("%d places are taken and %d connections open once all were closed", taken, seen.now.Load())
		}
	})
}

// leaving is a socket that has a place until it is closed, as the connection beneath it has.
type leaving struct {
	transport.Transport
	leave func()
}

func (s *leaving) Close() error {
	err := s.Transport.Close()
	s.leave()
	return err
}

// inPlace has a socket be what a dial opens.
func inPlace(ctx context.Context, c *Client, s *socket) (*socket, int, error) {
	leave, err := c.takePlace(ctx)
	if err != nil {
		return nil, -1, err
	}
	s.Transport = &leaving{s.Transport, leave}
	return s, 0, nil
}

// bulkContext is that of a dial of bulk's.
func bulkContext(ctx context.Context) context.Context {
	ctx, end := context.WithCancel(ctx)
	return context.WithValue(ctx, claimKey{}, &claim{end: end})
}

// One dial of chat's ends one of bulk's, though that takes a moment to leave its place, and waits in vain for none that has
// no place to leave.
func TestADialEndsNoMoreThanItNeeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := seenNet{lingers: time.Millisecond}
		c, err := New(Config{Link: linkTo(link.Front{Host: "192.0.2.1"}), Dialer: &front.Dialer{Connect: seen.open}})
		if err != nil {
			t.Fatal(err)
		}
		var all []*pending
		for range mostSeen + 1 {
			p := c.spread.begin(c, time.Now())
			if all = append(all, p); len(all) <= mostSeen {
				go c.spread.dial(p.ctx, c)
			}
			synctest.Wait()
		}
		ctx, cancel := context.WithCancel(t.Context())
		go c.dialFor(ctx, wanted{home: c.pool.current(), may: anyFront})
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		for i, p := range all {
			if want := i == mostSeen-1; p.over != want {
				t.Errorf("dial %d of bulk's: got it ended %v, want %v", i, p.over, want)
			}
		}
		if n := seen.dials.Load(); n != mostSeen+1 {
			t.Errorf("got %d connections opened, want %d", n, mostSeen+1)
		}
		cancel()
		for _, p := range all {
			c.spread.ended(p)
		}
		c.stop()
		time.Sleep(time.Second)
	})
}

// A dial of bulk's that gets no place ends, so that it tries no other front; one that has a place waits for a second.
func TestADialOfBulksWithoutAPlaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleClient(t, link.Front{})
		first := c.spread.begin(c, time.Now())
		defer c.spread.ended(first)
		if _, err := c.takePlace(first.ctx); err != nil {
			t.Fatal(err)
		}
		var others []func()
		for range mostSeen - 1 {
			leave, _ := c.takePlace(t.Context())
			others = append(others, leave)
		}
		second := c.spread.begin(c, time.Now())
		defer c.spread.ended(second)
		if _, err := c.takePlace(second.ctx); err != errFull || second.ctx.Err() == nil {
			t.Errorf("got %v, and the dial ended by %v; want it ended by errFull", err, second.ctx.Err())
		}
		go func() {
			time.Sleep(100 * time.Millisecond)
			others[0]()
		}()
		began := time.Now()
		if _, err := c.takePlace(first.ctx); err != nil || first.ctx.Err() != nil || time.Since(began) != 100*time.Millisecond {
			t.Errorf("got %v after %v, the dial ended by %v; want a second place once one is left", err, time.Since(began), first.ctx.Err())
		}
		ctx, cancel := context.WithTimeout(first.ctx, time.Second)
		defer cancel()
		if _, err := c.takePlace(ctx); err != errFull || first.ctx.Err() != nil {
			t.Errorf("got %v, the dial ended by %v; want the attempt over alone", err, first.ctx.Err())
		}
	})
}

// A dial of bulk's that gets no place for a second address has failed at the first all the same.
func TestADialWithoutAPlaceHasFailedBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, first := range []error{syscall.ECONNRESET, nil} {
			var c *Client
			open := func(context.Context, string, string) (net.Conn, error) {
				for range mostSeen {
					c.places.take(0)
				}
				return nil, &net.OpError{Op: "dial", Err: first}
			}
			l := linkTo(link.Front{Host: "front.example", Dial: []string{"192.0.2.1:443", "192.0.2.2:443"}})
			c, err := New(Config{Link: l, Dialer: &front.Dialer{Connect: open}})
			if err != nil {
				t.Fatal(err)
			}
			want := 1
			if first == nil {
				want = 0
				for range mostSeen {
					c.places.take(0)
				}
			}
			p := c.spread.begin(c, time.Now())
			if _, err := c.dialFor(p.ctx, wanted{home: c.pool.current(), may: anyFront, bulk: c.spread}); err == nil || p.ctx.Err() == nil {
				t.Errorf("got %v, and the dial ended by %v; want it ended for want of a place", err, p.ctx.Err())
			}
			if got := c.redials.of(0).failures; got != want {
				t.Errorf("%v at the first address: got %d failures of the front, want %d", first, got, want)
			}
			if n := len(c.budgets.of(0).minute.unsure); n != 0 {
				t.Errorf("got %d connections that the network may have counted, want none", n)
			}
			c.spread.ended(p)
			c.stop()
		}
	})
}

// The second of two addresses that one dial tries at once ends nothing that brings something, and a dial ends no more than
// two. Carriers of an origin that was left end first. A dial that is over ends none.
func TestADialEndsOfThoseLeftFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleClient(t, link.Front{})
		var all []*activeCarrier
		dial := func() {
			l, err := c.dialFor(bulkContext(t.Context()), wanted{home: c.pool.current(), may: anyFront, bulk: c.spread})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
			time.Sleep(time.Second)
		}
		dial()
		c.leaveHome(c.pool.current())
		for len(all) < mostSeen {
			dial()
		}
		ended := func(when string, want int) {
			t.Helper()
			time.Sleep(time.Second)
			n := 0
			for i, l := range all {
				if l.Dead() {
					n++
				} else if i < want {
					t.Errorf("%s: carrier %d lives", when, i)
				}
			}
			if n != want {
				t.Errorf("%s: got %d carriers ended, want %d", when, n, want)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		leave, _ := c.takePlace(over)
		leave()
		ended("a dial that is over", 0)
		by := new(claim)
		one := context.WithValue(t.Context(), claimKey{}, by)
		for range 2 {
			c.takePlace(one)
		}
		ended("two addresses of one dial", 1)
		by.held.Store(0)
		c.takePlace(one)
		c.takePlace(one)
		by.held.Store(0)
		c.takePlace(one)
		ended("more of it", mostEnded)
	})
}

// Whoever waits for others to end carriers does so no longer than a dial may wait, and not once it is over.
func TestADialWaitsForItsPlaceForAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleClient(t, link.Front{})
		c.places.room <- struct{}{}
		for within, want := range map[time.Duration]time.Duration{time.Minute: roomWithin, 10 * time.Millisecond: 10 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			began := time.Now()
			c.takePlace(ctx)
			if got := time.Since(began); got != want {
				t.Errorf("a dial of %v waits for %v, want %v", within, got, want)
			}
			cancel()
		}
	})
}

// slowSocket takes its time for what is written.
type slowSocket struct {
	*memorySocket
	takes atomic.Int64
}

func (s *slowSocket) WriteMessage(b []byte) error {
	time.Sleep(time.Duration(s.takes.Load()))
	return s.memorySocket.WriteMessage(b)
}

// A carrier whose budget is spent lives until what it says of what has come has gone.
func TestACarrierPartsOnceItHasSaidWhatCame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := idleClient(t, link.Front{})
		var slow *slowSocket
		c.reach = func(context.Context, wanted) (*socket, int, error) {
			s := p.socket(false)
			slow = &slowSocket{memorySocket: s.Transport.(*memorySocket)}
			s.Transport = slow
			return s, 0, nil
		}
		l, err := c.dial(t.Context(), c.pool.current(), anyFront)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		const takes = 300 * time.Millisecond
		slow.takes.Store(int64(takes))
		began := time.Now()
		l.Follow(0, nil, 12_000) // asks for no answer, either
		go c.part(l)
		for !l.Dead() && time.Since(began) < time.Minute {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < takes || took >= partMost {
			t.Errorf("the carrier ended after %v, and its last words take %v", took, takes)
		}
	})
}
