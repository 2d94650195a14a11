package client

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/front"
	"culvert/internal/link"
)

// A fifth connection within a minute fails while others live: four are suspected, and known once the
// next passes for which there is room. It is kept, tried for more by bulk alone, and forgotten when
// more pass.
func TestConnectionsAMinuteAreLearned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		m := &b.of(0).minute
		b.of(0).limit, b.of(0).known = 12_000, true
		for range 4 {
			time.Sleep(time.Second)
			b.hasBegun(0)
		}
		if b.roomIn(0) > 0 {
			t.Error("nothing failed: got no room")
		}
		b.hasFailed(0, time.Now())
		if m.limit != 4 || m.known || b.roomIn(0) == 0 {
			t.Errorf("the fifth failed: got %+v, want 4 suspected, and no room", m)
		}
		if k := b.known(0); k.Minute != 0 {
			t.Errorf("got %+v, want what is suspected not kept", k)
		}
		began := time.Now().Add(aMinute - 8*time.Second)
		time.Sleep(aMinute - 3*time.Second)
		b.hasFailed(0, began) // the first of the four has not been a minute ago when it began
		if m.limit != 4 {
			t.Errorf("got %d after another that failed within the minute, want 4", m.limit)
		}
		time.Sleep(4 * time.Second)
		b.hasBegun(0)
		if !m.known {
			t.Error("one passed as soon as there was room: got it suspected yet")
		}
		var after budgets
		after.recall(0, b.known(0))
		if r := after.of(0).minute; r.limit != 4 || !r.known || r.pause != believed {
			t.Errorf("got %+v at a later start, want what was known", r)
		}
		time.Sleep(believed + aMinute)
		if left, limit, _ := b.connections([]int{0}, true); left != 6 || limit != 6 {
			t.Errorf("got %d of %d for bulk after a while, want 6 of 6", left, limit)
		}
		if left, _, _ := b.connections([]int{0}, false); left != 4 {
			t.Errorf("got %d for chat, want 4", left)
		}
		for range 4 {
			b.hasBegun(0)
		}
		b.hasFailed(0, time.Now())
		if m.limit != 4 || m.pause != 2*believed || !m.known {
			t.Errorf("got %+v after a try for more that failed, want it believed for longer", m)
		}
		if b.hasBegun(0); m.limit != 5 || !m.known {
			t.Errorf("five passed within a minute: got %+v, want five", m)
		}
		if b.hasBegun(0); m.limit != 0 {
			t.Errorf("six passed within a minute: got a limit of %d", m.limit)
		}
	})
}

// Nobody sees each connection that the network counts: what passes beyond a limit does not make bulk free to take all.
func TestALimitThatOneMorePassesIsHigher(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		m := &b.of(0).minute
		b.of(0).limit, b.of(0).known = 12_000, true
		for range 3 {
			b.hasBegun(0)
		}
		b.hasFailed(0, time.Now())
		time.Sleep(aMinute)
		for range 4 {
			b.hasBegun(0)
		}
		if m.limit != 4 || !m.known {
			t.Errorf("four passed: got %+v, want 4 known", m)
		}
		time.Sleep(aMinute)
		for range 4 {
			b.hasBegun(0)
		}
		if b.hasFailed(0, time.Now()); m.limit != 4 {
			t.Errorf("a fifth failed: got %+v, want 4", m)
		}
	})
}

// What bulk takes may be what chat needs half a minute later.
func TestBulkTakesNoConnectionThatChatWillNeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{fronts: newFronts(twoFronts(), time.Now), pool: newPool()}
		for i := range 2 {
			c.budgets.of(i).minute = minuteLimit{limit: 4, known: true, until: time.Now().Add(time.Hour)}
		}
		for range 3 {
			c.budgets.hasBegun(0)
			c.budgets.hasBegun(1)
		}
		time.Sleep(20 * time.Second)
		c.pool.use.lived = 20 * time.Second
		if c.mayDialBulk(0) {
			t.Error("two are left, and chat needs three before there are more: got one of them for bulk")
		}
		if c.pool.use.lived = 50 * time.Second; !c.mayDialBulk(0) {
			t.Error("chat needs one at once, and the next in 50 s: got the second held back from bulk")
		}
	})
}

// Where a connection brings all that there is, one that a bad network lost teaches little.
func TestOneThatFailedIsNoLimitWhereFewAreNeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		m := &b.of(0).minute
		fail := func() {
			for range 3 {
				b.hasBegun(0)
			}
			b.hasFailed(0, time.Now())
			time.Sleep(aMinute)
			b.hasBegun(0)
		}
		if fail(); m.known || b.roomIn(0) > 0 {
			t.Errorf("got %+v after one that failed, want it suspected alone", m)
		}
		time.Sleep(suspected + aMinute)
		if _, _, areCounted := b.connections([]int{0}, true); areCounted {
			t.Error("got connections counted after a while, want that forgotten")
		}
		if fail(); m.limit != 3 || !m.known {
			t.Errorf("got %+v after another that failed after as many, want 3 known", m)
		}
	})
}

// A dial that fails is no limit when it is one of few, and what is suspected alone is forgotten.
func TestAFailureIsNoLimitByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		b.hasBegun(0)
		b.hasFailed(0, time.Now())
		if b.roomIn(0) > 0 {
			t.Error("the second failed: got a limit of one a minute")
		}
		b.hasBegun(0)
		b.hasFailed(0, time.Now())
		time.Sleep(suspected + time.Second)
		if _, _, areCounted := b.connections([]int{0}, false); areCounted {
			t.Error("what was suspected is believed for ever")
		}
	})
}

// Of connections that are counted bulk has those that chat leaves, and one front without a limit has
// as many as one likes.
func TestBulkLeavesConnectionsToChat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &Client{fronts: newFronts(twoFronts(), time.Now), pool: newPool()}
		c.budgets.of(0).minute = minuteLimit{limit: 4, known: true, until: time.Now().Add(time.Hour)}
		if !c.mayDialBulk(10) {
			t.Error("one front is free: got bulk held back")
		}
		c.budgets.of(1).minute = c.budgets.of(0).minute
		for begun, want := range map[int]bool{0: true, 5: true, 6: false} {
			if got := c.mayDialBulk(begun); got != want {
				t.Errorf("%d of 8 were bulk's: got %v, want %v", begun, got, want)
			}
		}
		c.pool.use.lived = 10 * time.Second // six connections a minute
		if c.mayDialBulk(2) || !c.mayDialBulk(1) {
			t.Error("chat uses six of eight: want two left to bulk")
		}
		for range 7 {
			c.budgets.hasBegun(0)
		}
		c.budgets.of(0).minute.limit = 4
		for range 3 {
			c.budgets.hasBegun(1)
		}
		if c.pool.use.lived = 0; c.mayDialBulk(0) {
			t.Error("one connection is left: got it for bulk")
		}
	})
}

// A network may have let in a connection whose dial was given up just then: what bulk leaves is enough for chat even so,
// and chat does not wait for that.
func TestADialThatIsGivenUpMayHaveBegunAConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangs := func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		l := linkTo(link.Front{Host: "front.example", Dial: []string{"192.0.2.1:443"}})
		c, err := New(Config{Link: l, Dialer: &front.Dialer{Connect: hangs}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.stop()
		dial := func(ctx context.Context) { c.openSocket(ctx, 0, "", wanted{home: c.pool.current()}) }
		silent, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		dial(silent)
		m := &c.budgets.of(0).minute
		if n := len(m.unsure); n != 0 {
			t.Errorf("nobody answered: got %d connections that may have begun", n)
		}
		*m = minuteLimit{limit: 4, known: true, until: time.Now().Add(time.Hour)}
		c.budgets.hasBegun(0)
		if !c.mayDialBulk(0) {
			t.Error("three are left: got none for bulk")
		}
		for range 2 {
			lost, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			dial(lost)
		}
		if c.mayDialBulk(0) {
			t.Error("one is left for sure: got it for bulk")
		}
		if left, _, _ := c.budgets.connections([]int{0}, false); left != 3 {
			t.Errorf("got %d left for chat, want 3", left)
		}
		time.Sleep(aMinute)
		if !c.mayDialBulk(0) {
			t.Error("a minute later: got none for bulk")
		}
	})
}

// Where connections are counted the front comes first that opens one sooner, and the other is not tried beside it before it
// does: one that is let in late, and loses, would be one of chat's.
func TestAFrontWithoutRoomIsNotTriedBesideAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var dials []string
		var gone atomic.Bool // the front that is tried first fails
		hangs := func(ctx context.Context, _, address string) (net.Conn, error) {
			mu.Lock()
			dials = append(dials, address[:9]+" "+time.Since(began).Round(500*time.Millisecond).String())
			mu.Unlock()
			for !gone.Load() && ctx.Err() == nil {
				time.Sleep(100 * time.Millisecond)
			}
			return nil, syscall.ECONNREFUSED
		}
		l := linkTo(link.Front{Host: "one.example", Dial: []string{"192.0.2.1:443"}},
			link.Front{Host: "two.example", Dial: []string{"192.0.2.2:443"}})
		c, err := New(Config{Link: l, Dialer: &front.Dialer{Connect: hangs}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.stop()
		for i := range 2 {
			c.budgets.of(i).minute = minuteLimit{limit: 2, known: true, until: time.Now().Add(time.Hour)}
		}
		first := time.Now()
		for _, i := range []int{1, 1, 0, 0} {
			c.budgets.hasBegun(i)
			c.health.answeredIn(i, 100*time.Millisecond)
			time.Sleep(time.Second)
		}
		dial := func(failsAfter time.Duration, want ...string) {
			t.Helper()
			began, dials = time.Now(), nil
			gone.Store(false)
			time.AfterFunc(failsAfter, func() { gone.Store(true) })
			c.redials = redials{}
			c.dialSocket(t.Context(), wanted{home: c.pool.current(), may: anyFront})
			if !slices.Equal(dials, want) {
				t.Errorf("got dials %v, want %v", dials, want)
			}
		}
		dial(4*time.Second, "192.0.2.2 0s", "192.0.2.1 4s")
		dial(time.Minute, "192.0.2.2 0s", "192.0.2.1 4.5s") // after its head start, and roomAtMost
		time.Sleep(time.Until(first.Add(aMinute)))
		dial(4*time.Second, "192.0.2.2 0s", "192.0.2.1 2s") // as there is room
	})
}

// A dial that is given up waits for no room any more, whoever is being tried.
func TestADialThatIsGivenUpAwaitsNoRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := new(Client)
		c.budgets.of(0).minute = minuteLimit{limit: 2, known: true, until: time.Now().Add(time.Hour)}
		c.budgets.hasBegun(0)
		c.budgets.hasBegun(0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		var tried atomic.Int32
		tried.Store(1)
		c.awaitRoomAt(ctx, 0, &tried)
		if got := time.Since(began); got != time.Second {
			t.Errorf("waited for %v, want %v", got, time.Second)
		}
	})
}
