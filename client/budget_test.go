package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/session"
	"culvert/internal/wire"
)

// What a front's carriers may bring is learned from those that froze: of one with caution and for a
// while, of two that agree for longer, and of none that was merely slow, or that broke off anywhere.
func TestABudgetIsLearnedFromCarriersThatFroze(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		freeze := func(f *budget, at int, doubted bool) {
			f.freeze(at, doubted)
		}
		for name, c := range map[string]struct {
			at      []int
			doubted bool
			want    int
			believe time.Duration
		}{
			"one":                 {[]int{15_000}, true, 12_000, suspected},
			"two that agree":      {[]int{15_000, 14_000}, true, 15_000*93/100 - slack, triedAfter},
			"two that do roughly": {[]int{15_000, 13_000}, true, 13_000 - slack, triedAfter},
			"two that do not":     {[]int{15_000, 25_000}, true, 12_000, suspected},
			"one that has less":   {[]int{50_000, 15_000}, true, 12_000, suspected},
			"less than is known":  {[]int{50_000, 50_000, 30_000}, true, 24_000, suspected},
			"one that answers":    {[]int{15_000}, false, 0, 0},
			"one that had little": {[]int{leastFreeze - 1}, true, 0, 0},
			"one that had much":   {[]int{mostSuspect + 1}, true, 0, 0},
			"two that had much":   {[]int{40_000, 41_000}, true, 41_000*93/100 - slack, triedAfter},
			"two beyond all":      {[]int{mostFreeze + 1, mostFreeze + 1}, true, 0, 0},
		} {
			var f budget
			for _, at := range c.at {
				freeze(&f, at, c.doubted)
			}
			if f.limit != c.want || f.limit > 0 && time.Until(f.until) != c.believe {
				t.Errorf("%s: got %d for %v, want %d for %v", name, f.limit, time.Until(f.until), c.want, c.believe)
			}
		}
	})
}

// A first message may be longer than what a network lets pass, so that no record came whole.
func TestACarrierMayFreezeWithinItsFirstMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: linkTo(link.Front{})})
		if err != nil {
			t.Fatal(err)
		}
		near, _ := memoryPair(false)
		in := c.pool.current().session
		silent := &activeCarrier{Carrier: in.NewCarrier(near, in.Party(session.Stream, wire.Token{})), cost: 4100}
		for brought, want := range map[int]bool{6000: false, 14_000: true} {
			silent.brought = func() int { return brought }
			c.budgets.of(0).silent = nil
			if c.budgets.fellSilent(silent); (c.budgets.of(0).silent == silent) != want {
				t.Errorf("%d bytes came: got it suspected %v, want %v", brought, !want, want)
			}
		}
	})
}

// A network freezes the connections to all fronts alike: one by each says as much as two by one.
func TestTwoFrontsThatFreezeAlikeAreKnownTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		for front, at := range []int{15_000, 14_000, 25_000} {
			b.of(front).freeze(at, true)
			b.agree(b.of(front))
		}
		want := 15_000*93/100 - slack
		if one, two := b.of(0), b.of(1); !one.known || !two.known || one.limit != want || two.limit != want {
			t.Errorf("got %+v and %+v, want %d known", one, two, want)
		}
		if other := b.of(2); other.known {
			t.Errorf("got %+v of one that froze after much more, want it suspected", other)
		}
	})
}

// Where a carrier is silent that has brought little, and another front opens a connection, both may freeze: chat's bring no
// more, for a while, and the first of bulk's finds out.
func TestAFreezeByOneFrontHasOthersBringNoMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at               int
		answers, atDoors bool
		isTight          bool
	}{
		"little":           {at: 15_000, isTight: true},
		"much":             {at: mostSuspect + 1},
		"one that answers": {at: 15_000, answers: true},
		"another door":     {at: 15_000, atDoors: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, p := idleClient(t, link.Front{Gateway: true})
			s := p.socket(true)
			f := &freezable{memorySocket: s.Transport.(*memorySocket)}
			s.Transport = f
			client.reach = func(ctx context.Context, _ wanted) (*socket, int, error) { return inPlace(ctx, client, s) }
			l, err := client.dial(t.Context(), client.pool.current(), anyFront)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			f.frozen.Store(!c.answers)
			l.Ping()
			time.Sleep(4 * time.Second)
			var b budgets
			*b.of(0) = budget{silent: l, at: c.at, exact: true}
			next := &activeCarrier{front: 1, gateway: !c.atDoors}
			want := uint32(0)
			if c.isTight {
				want = uint32(c.at - slack)
			}
			if got := b.left(next, false); got != want || b.isTight(0) != c.isTight || b.isTight(1) != c.isTight {
				t.Errorf("%s: got %d for another front's, tight %v and %v, want %d and %v", name, got, b.isTight(0), b.isTight(1), want, c.isTight)
			}
			if got := b.left(next, true); got != 0 {
				t.Errorf("%s: got %d for bulk's first, want any", name, got)
			}
			time.Sleep(alikeFor + time.Second)
			if b.isTight(0) != c.isTight || b.isTight(1) {
				t.Errorf("%s: later got tight %v and %v, want %v and none", name, b.isTight(0), b.isTight(1), c.isTight)
			}
		})
	}
}

// One carrier that fell silent may have had another reason: what it says is forgotten, unless another
// agrees.
func TestASuspicionIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		b.of(0).freeze(15_000, true)
		if !b.isTight(0) || b.isTight(1) {
			t.Error("a front whose carrier froze is not thought to be tight, or another is")
		}
		time.Sleep(suspected + time.Second)
		if b.isTight(0) {
			t.Errorf("it is suspected after %v yet", suspected)
		}
		b.of(0).freeze(14_000, true)
		time.Sleep(time.Hour)
		if !b.isTight(0) {
			t.Error("two carriers agreed, and nobody tried for more: got it forgotten")
		}
	})
}

// Bulk is spread where all fronts of the stream door are tight. Those of the gateway door never are.
func TestBulkIsSpreadWhereAllFrontsAreTight(t *testing.T) {
	t.Parallel()
	stream, gateway := link.Front{}, link.Front{Gateway: true}
	for name, c := range map[string]struct {
		fronts []link.Front
		tight  []int
		want   bool
	}{
		"none":             {[]link.Front{stream, stream}, nil, false},
		"one of two":       {[]link.Front{stream, stream}, []int{1}, false},
		"both":             {[]link.Front{stream, stream}, []int{0, 1}, true},
		"beside a gateway": {[]link.Front{gateway, stream}, []int{1}, true},
		"a gateway alone":  {[]link.Front{gateway}, nil, false},
	} {
		client := &Client{fronts: newFronts(&link.Link{Fronts: c.fronts}, time.Now)}
		for _, i := range c.tight {
			client.budgets.of(i).freeze(15_000, true)
		}
		if got := client.areTight(); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Bulk tries for more a minute after a budget is known, as the network may have stopped, with one carrier; where that passes
// all may bring what they like.
func TestBulkIsFreeSoonAfterANetworkStopsFreezing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		b.of(0).freeze(15_000, true)
		b.of(0).freeze(15_000, true)
		limit := b.of(0).limit
		next := func() int { return int(b.left(new(activeCarrier), true)) }
		if got := next(); got != limit {
			t.Errorf("got %d at once, want %d", got, limit)
		}
		time.Sleep(time.Minute + time.Second)
		if got := int(b.left(new(activeCarrier), false)); got != limit {
			t.Errorf("got %d for chat's after a minute, want %d", got, limit)
		}
		tried, other := next(), next()
		if tried <= limit*3/2 || other != limit {
			t.Errorf("got %d and %d for two of bulk's after a minute, want more than %d for one", tried, other, limit*3/2)
		}
		b.passed(&activeCarrier{brought: func() int { return tried }})
		if got := next(); got != 0 {
			t.Errorf("got %d after one has brought %d, want any", got, tried)
		}
	})
}

// A budget that turns out to be right is believed for longer each time.
func TestABudgetThatIsRightIsTriedMoreRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f budget
		for range 20 {
			f.freeze(15_000, true)
			time.Sleep(time.Hour)
		}
		if f.pause != mostBelieved {
			t.Errorf("got %v, want %v", f.pause, mostBelieved)
		}
	})
}

// Carriers may fall silent after as much by chance, as a front dies: one that began later and brought
// more in between shows that they did not freeze.
func TestWhatALaterCarrierPassesIsNoFreeze(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b budgets
		brings := func(n int) *activeCarrier {
			time.Sleep(time.Second)
			return &activeCarrier{began: time.Now(), brought: func() int { return n }}
		}
		silent := func(l *activeCarrier) {
			b.of(0).freeze(l.total(), true)
			b.of(0).since = l.began
		}
		old := brings(2_000_000)
		silent(brings(100_000))
		b.passed(old) // began before: what freezes now may not have frozen it
		silent(brings(100_000))
		if !b.isTight(0) {
			t.Error("two that agree were disproved by one that is older")
		}
		b.forget()
		silent(brings(100_000))
		b.passed(brings(2_000_000))
		silent(brings(100_000))
		if b.isTight(0) {
			t.Error("two that agree are believed, though one in between brought more")
		}
		h, one, more := &home{}, brings(100_000), brings(2_000_000)
		h.begin(one)
		h.begin(more)
		if !h.hasPassedMore(one) || h.hasPassedMore(more) {
			t.Error("one that serves, began later and has brought more does not count, or an older one does")
		}
	})
}
