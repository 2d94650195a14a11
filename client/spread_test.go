package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
)

// freezable is a memory socket by which nothing goes, and whose edge does not answer, once it is frozen.
type freezable struct {
	*memorySocket
	frozen atomic.Bool
}

func (s *freezable) WriteMessage(b []byte) error {
	if s.frozen.Load() {
		return nil
	}
	return s.memorySocket.WriteMessage(b)
}

func (s *freezable) Probe() error {
	if !s.frozen.Load() {
		return nil
	}
	<-s.pair.closed
	return net.ErrClosed
}

// idleClient is a client that does not run, until the test ends, and the peer that it dials.
func idleClient(t *testing.T, f link.Front) (*Client, *peer) {
	t.Helper()
	p := newPeer(t, 0)
	c, err := New(Config{Link: linkTo(f)})
	if err != nil {
		t.Fatal(err)
	}
	c.reach = func(ctx context.Context, _ wanted) (*socket, int, error) { return inPlace(ctx, c, p.socket(f.Gateway)) }
	t.Cleanup(func() {
		c.stop()
		c.table.Carriers.Close()
		c.tasks.Wait()
	})
	return c, p
}

// However many carriers of the gateway door are in doubt, and kept as they may answer yet, a network sees no more at once
// than it should: the oldest of them makes room for what chat needs, and bulk counts what chat is about to have.
func TestACarrierInDoubtMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := idleClient(t, link.Front{Gateway: true})
		h := c.pool.current()
		var sockets []*freezable
		most := 0
		c.reach = func(ctx context.Context, _ wanted) (*socket, int, error) {
			s := p.socket(true)
			f := &freezable{memorySocket: s.Transport.(*memorySocket)}
			s.Transport, sockets = f, append(sockets, f)
			defer func() { most = max(most, c.seen(h)) }()
			return inPlace(ctx, c, s)
		}
		var all []*activeCarrier
		dial := func() {
			t.Helper()
			l, err := c.dial(t.Context(), h, anyFront)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
			time.Sleep(time.Second)
		}
		for range mostSeen {
			dial()
		}
		if most != mostSeen {
			t.Errorf("got %d carriers counted while the last is dialled, want %d", most, mostSeen)
		}
		for i, l := range all {
			sockets[i].frozen.Store(i == 2 || i == 3)
			l.Ping()
		}
		time.Sleep(4 * time.Second)
		for i, l := range all {
			if l.Dead() || l.Doubted() != (i == 2 || i == 3) {
				t.Fatalf("carrier %d: dead %v, doubted %v", i, l.Dead(), l.Doubted())
			}
		}
		dial()
		if most > mostSeen {
			t.Errorf("got %d carriers at once, want %d at most", most, mostSeen)
		}
		for i, l := range all {
			if l.Dead() != (i == 2) {
				t.Errorf("carrier %d: got dead %v, want the oldest in doubt ended", i, l.Dead())
			}
		}
	})
}

// Bulk is spread over no more carriers than a network may see, with all that are in doubt or about to end, whoever's
// they were; chat's own, and its next, come beside them, and where that is too many one of bulk's makes room.
func TestBulkLeavesRoomAmongWhatANetworkMaySee(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleClient(t, link.Front{})
		h, s := c.pool.current(), c.spread
		dial := func(isBulk bool) *activeCarrier {
			t.Helper()
			ctx, w := t.Context(), wanted{home: h, may: anyFront}
			if isBulk {
				ctx, w.bulk = bulkContext(ctx), s
			}
			l, err := c.dialFor(ctx, w)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			return l
		}
		wants := func(want bool, when string) {
			t.Helper()
			for range spreadMost {
				s.recent = append(s.recent, time.Now()) // many were spent
			}
			if got := s.wants(c.seen(h)); got != want {
				t.Errorf("%s: wants another: got %v, want %v", when, got, want)
			}
		}
		dial(false).Retire() // chat's, which has been replaced and is about to end
		dial(false)
		var bulk []*activeCarrier
		for range mostSeen - 2 {
			wants(true, "there is room")
			bulk = append(bulk, dial(true))
		}
		wants(false, "one is about to end, and all others are there")
		bulk[0].Close()
		time.Sleep(time.Second)
		wants(true, "one has ended")
		s.others.Add(1) // chat dials one
		wants(false, "chat needs what is left")
		s.others.Add(-1)
		dial(false)
		if seen := c.seen(h); seen != mostSeen || bulk[1].Dead() {
			t.Errorf("a network sees %d, want %d, and none of bulk's ended for that: %v", seen, mostSeen, bulk[1].Dead())
		}
		dial(false)
		if seen := c.seen(h); seen != mostSeen || !bulk[1].Dead() {
			t.Errorf("a network sees %d, want %d, as the oldest of bulk's has ended: %v", seen, mostSeen, bulk[1].Dead())
		}
	})
}

// A carrier by which nothing comes gives way to another while others are spent and bring more; where all are silent the path
// may be, or the app, and one that is new has its time.
func TestACarrierThatBringsNothingGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := idleClient(t, link.Front{})
		s := c.spread
		dial := func() *activeCarrier {
			l, err := c.dialFor(bulkContext(t.Context()), wanted{home: c.pool.current(), may: anyFront, bulk: s})
			if err != nil {
				t.Fatal(err)
			}
			l.Follow(0, nil, 12_000)
			return l
		}
		l, spent := dial(), func() { s.recent = []time.Time{time.Now(), time.Now()} }
		s.carriers = append(s.carriers, l)
		if spent(); s.forgotten(time.Now()) != nil {
			t.Error("a new carrier is given up")
		}
		time.Sleep(2 * forgottenAfter)
		if spent(); s.forgotten(time.Now()) != nil {
			t.Error("a carrier is given up though no other brings anything")
		}
		s.carriers = append(s.carriers, dial())
		if s.recent = nil; s.forgotten(time.Now()) != nil {
			t.Error("a carrier is given up though none is spent")
		}
		l.gateway = true
		if spent(); s.forgotten(time.Now()) != nil {
			t.Error("a carrier of the gateway door is given up, where a function takes seconds")
		}
		l.gateway = false
		if s.forgotten(time.Now()) != l || len(s.carriers) != 1 {
			t.Error("a carrier that brings nothing is kept")
		}
	})
}

// A budget that is as good as spent from the first record on, as it is small, has no other carriers dialled while nothing
// flows; one of which half is gone indeed has one.
func TestBulkAtRestHasOneCarrier(t *testing.T) {
	t.Parallel()
	for half, want := range map[bool]int{false: 1, true: 2} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, 0)
			c, err := New(Config{Link: linkTo(link.Front{})})
			if err != nil {
				t.Fatal(err)
			}
			c.reach = func(ctx context.Context, _ wanted) (*socket, int, error) { return inPlace(ctx, c, p.socket(false)) }
			run(t, c)
			c.budgets.mu.Lock()
			f := c.budgets.of(0)
			f.frozen, f.limit, f.known, f.until = 7300, 7000, true, time.Now().Add(time.Hour)
			c.budgets.mu.Unlock()
			defer c.Dial(wire.Service{Kind: wire.Media, Host: "mmg.whatsapp.net"}).Close()
			time.Sleep(10 * time.Second)
			c.spread.mu.Lock()
			first := c.spread.carriers[0]
			c.spread.mu.Unlock()
			for spent, all := first.Budget(); half && spent < all/2; spent, _ = first.Budget() {
				first.Ping()
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Second)
			c.spread.mu.Lock()
			defer c.spread.mu.Unlock()
			if got := len(c.spread.carriers); got != want {
				t.Errorf("half of the budget is gone %v: got %d carriers for a tunnel at rest, want %d", half, got, want)
			}
		})
	}
}

// spreadBoth is a client, and its peer, at whose front connections freeze, and may be as many a minute. It has a chat and a load of
// media, both spread.
func spreadBoth(t *testing.T, minute minuteLimit) (*Client, *peer) {
	t.Helper()
	p := newPeer(t, 0)
	c, err := New(Config{Link: linkTo(link.Front{})})
	if err != nil {
		t.Fatal(err)
	}
	c.reach = func(context.Context, wanted) (*socket, int, error) { return p.socket(false), 0, nil }
	run(t, c)
	c.budgets.mu.Lock()
	f := c.budgets.of(0)
	f.frozen, f.limit, f.known, f.until = 15_000, 13_000, true, time.Now().Add(time.Hour)
	f.minute = minute
	c.budgets.mu.Unlock()
	for _, s := range []wire.Service{{Kind: wire.Chat}, {Kind: wire.Media, Host: "mmg.whatsapp.net"}} {
		conn := c.Dial(s)
		t.Cleanup(func() { conn.Close() })
	}
	time.Sleep(time.Second)
	for _, tun := range c.pool.current().session.All() {
		c.spread.add(c, tun)
	}
	return c, p
}

// A chat that has moved much is spread like bulk. Where bulk may dial nothing it goes on by chat's carrier, and bulk
// waits.
func TestChatDoesNotWaitForCarriersOfBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := spreadBoth(t, minuteLimit{limit: chatConnections, known: true, until: time.Now().Add(time.Hour)})
		p.cut()
		time.Sleep(10 * time.Second)
		for _, tun := range c.pool.current().session.All() {
			if has := tun.Carrier() != nil; has != (tun.Service.Kind == wire.Chat) {
				t.Errorf("%v: got a carrier %v, want one for chat alone", tun.Service.Kind, has)
			}
		}
	})
}

// Chat that was spread, as answers that had waited came at once, goes by chat's carrier again when it moves little: bulk's
// carriers end with what was sent by them.
func TestChatThatMovesLittleIsSpreadNoMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := spreadBoth(t, minuteLimit{})
		for _, after := range []time.Duration{5 * time.Second, 20 * time.Second} {
			time.Sleep(after)
			for _, tun := range c.pool.current().session.All() {
				isSpread := tun.Service.Kind != wire.Chat || after < 10*time.Second
				if byMain := tun.Carrier() == c.pool.view().main.Carrier; byMain == isSpread || c.spread.has(tun) != isSpread {
					t.Errorf("%v after %v: got it by chat's carrier %v, want %v", tun.Service.Kind, after, byMain, !isSpread)
				}
			}
		}
	})
}
