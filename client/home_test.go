package client

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/session"
	"culvert/internal/tunnel"
	"culvert/internal/wire"
)

// fleet is two origins behind one front. Without a ticket it leads to the first that
// takes new carriers, with one to its owner, or astray.
type fleet struct {
	a, b   *peer
	astray atomic.Int32 // so many tickets of a's lead to b
	down   atomic.Bool  // a takes no new clients
}

func newFleet(t *testing.T) *fleet { return &fleet{a: newPeer(t, 0), b: newPeer(t, 1)} }

func (f *fleet) reach(_ context.Context, w wanted) (*socket, int, error) {
	if way := w.home.way(); way == f.b.ticket || way == "" && f.down.Load() || way == f.a.ticket && f.astray.Add(-1) >= 0 {
		return f.b.socket(false), 0, nil
	}
	return f.a.socket(false), 0, nil
}

// client is one of the fleet. Its ends are told to ended.
func (f *fleet) client(t *testing.T, ended func(tunnel.End)) *Client {
	t.Helper()
	c, err := New(Config{Link: linkTo(link.Front{}), Ended: ended})
	if err != nil {
		t.Fatal(err)
	}
	c.reach = f.reach
	return c
}

// run runs c until the test ends.
func run(t *testing.T, c *Client) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	time.Sleep(time.Second)
}

func (p *peer) cut() {
	for _, c := range p.table.Carriers.All() {
		c.Close()
	}
}

func TestATicketIsBelievedOfItsOriginAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c := f.client(t, nil)
		h := c.pool.current()
		dial := func() *activeCarrier {
			l, err := c.dial(t.Context(), h, anyFront)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			return l
		}
		first := dial()
		if got := h.way(); got != f.a.ticket {
			t.Fatalf("got the ticket %.8q, want that of the first origin", got)
		}
		f.astray.Store(1)
		if lost := dial(); !lost.Dead() || !errors.Is(lost.why, session.ErrElsewhere) {
			t.Errorf("got %v of a carrier that led to another origin", lost.why)
		}
		if got := h.way(); got != f.a.ticket {
			t.Errorf("got the ticket %.8q, want that of the first origin still", got)
		}
		if h.working() != first || !h.strayed.IsZero() {
			t.Errorf("the home is astray since %v, want it found by the first carrier", h.strayed)
		}
		first.Close()
		c.table.Close()
		c.tasks.Wait()
	})
}

// When a ticket leads astray, new tunnels begin where it led, and those before are
// brought back by it.
func TestTunnelsWhoseTicketLeadsAstrayComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c := f.client(t, nil)
		run(t, c)
		c.Dial(wire.Service{Kind: wire.Chat})
		time.Sleep(time.Second)
		before := c.pool.current()
		f.down.Store(true)
		f.astray.Store(3)
		f.a.cut()
		time.Sleep(10 * time.Second)
		c.Dial(wire.Service{Kind: wire.Chat})
		time.Sleep(time.Second)
		if a, b := f.a.table.Tunnels(), f.b.table.Tunnels(); a != 1 || b != 1 || len(f.a.table.Orphans()) != 0 {
			t.Errorf("got %d and %d tunnels at the origins, %d without a carrier; want one at each", a, b, len(f.a.table.Orphans()))
		}
		if c.pool.current() == before || !c.Status().Connected {
			t.Error("the client stays with an origin that is not found, want another beside it")
		}
		time.Sleep(2 * wire.HoldTunnel)
		if got := c.Status().Tunnels; got != 2 {
			t.Errorf("got %d tunnels later, want 2", got)
		}
		if got := len(c.pool.allHomes()); got != 2 {
			t.Errorf("got %d homes, want one for each origin with tunnels", got)
		}
	})
}

func TestTunnelsOfAnOriginThatIsNotFoundExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, ends := newFleet(t), make(chan tunnel.End, 2)
		c := f.client(t, func(e tunnel.End) { ends <- e })
		run(t, c)
		app := c.Dial(wire.Service{Kind: wire.Chat})
		time.Sleep(time.Second)
		f.down.Store(true)
		f.astray.Store(1 << 30)
		f.a.cut()
		time.Sleep(strayLimit - 10*time.Second)
		if got := c.Status().Tunnels; got != 1 {
			t.Errorf("got %d tunnels while the origin is sought, want 1", got)
		}
		time.Sleep(30 * time.Second)
		if got := c.Status().Tunnels; got != 0 || len(c.pool.allHomes()) != 1 {
			t.Errorf("got %d tunnels and %d homes, want none but the new home", got, len(c.pool.allHomes()))
		}
		if e := <-ends; e.Reason != wire.Expired {
			t.Errorf("got %v, want %v", e.Reason, wire.Expired)
		}
		if _, err := app.Read(make([]byte, 1)); err == nil || errors.Is(err, net.ErrClosed) {
			t.Errorf("the app got %v, want its connection ended", err)
		}
	})
}

// An origin that drains keeps its tunnels, and is fetched when they lose their
// carrier; new tunnels go elsewhere, by another session.
func TestADrainingOriginKeepsItsTunnels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c := f.client(t, nil)
		run(t, c)
		c.Dial(wire.Service{Kind: wire.Chat})
		time.Sleep(10 * time.Second)
		before := c.pool.current()
		f.down.Store(true)
		f.a.sessions.Drain()
		for _, l := range f.a.table.Carriers.All() {
			l.Drain()
		}
		time.Sleep(10 * time.Second)
		if now := c.pool.current(); now == before || now.session == before.session || !c.Status().Connected {
			t.Error("new tunnels go where the origin drains, want another origin and session")
		}
		f.a.cut()
		time.Sleep(10 * time.Second)
		if a, orphans := f.a.table.Tunnels(), f.a.table.Orphans(); a != 1 || len(orphans) != 0 {
			t.Errorf("got %d tunnels, %d without a carrier, want the one fetched", a, len(orphans))
		}
		if got := before.session.Tunnels(); got != 1 {
			t.Errorf("got %d tunnels in the old session, want 1", got)
		}
	})
}

// An origin that was left hears once how its last tunnel ended, and is left in peace.
func TestAHomeThatIsOverIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var dials atomic.Int32
		c := f.client(t, nil)
		c.reach = func(ctx context.Context, w wanted) (*socket, int, error) {
			dials.Add(1)
			return f.reach(ctx, w)
		}
		run(t, c)
		app := c.Dial(wire.Service{Kind: wire.Chat})
		time.Sleep(10 * time.Second)
		f.down.Store(true)
		for _, l := range f.a.table.Carriers.All() {
			l.Drain()
		}
		time.Sleep(10 * time.Second)
		app.Close()
		time.Sleep(time.Minute)
		if got := len(c.pool.allHomes()); got != 1 || f.a.table.Tunnels() != 0 {
			t.Errorf("got %d homes, %d tunnels at the origin that drained, want the current home alone", got, f.a.table.Tunnels())
		}
		if got := dials.Load(); got > 3 {
			t.Errorf("got %d dials, want no more than the two homes and a last word need", got)
		}
		before := dials.Load()
		time.Sleep(10 * time.Minute)
		if got := dials.Load() - before; got != 0 {
			t.Errorf("got %d dials later, want none", got)
		}
	})
}
