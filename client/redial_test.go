package client

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/link"
	"culvert/internal/wire"
)

// Three that want carriers at once dial a front that fails no more than once in two seconds, after
// the first try, and more rarely as it goes on failing.
func TestAFrontThatFailsIsDialledOnceInTwoSecondsAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var r redials
		var mu sync.Mutex
		var tries []time.Time
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var all sync.WaitGroup
		r.failed(0, time.Now())
		time.Sleep(time.Millisecond)
		for range 3 {
			all.Go(func() {
				for r.admit(ctx, 0) == nil {
					began := time.Now()
					mu.Lock()
					tries = append(tries, began)
					mu.Unlock()
					time.Sleep(600 * time.Millisecond)
					r.failed(0, began)
				}
			})
		}
		all.Wait()
		if len(tries) < 60/4 {
			t.Errorf("got %d tries in a minute, want at least 15", len(tries))
		}
		for i := range len(tries) - 1 {
			least := redialPause
			if i > 0 {
				least += redialStep
			}
			if gap := tries[i+1].Sub(tries[i]); gap < least || gap > least*4/3 {
				t.Errorf("try %d came %v after the one before, want %v and up to a third more", i+1, gap, least)
			}
		}
	})
}

// A front that was good is dialled at once when it has lost its carriers, by whoever has lost one. It
// fails when what is dialled then does not last, and is good again when a connection has lasted.
func TestAFrontIsGoodAgainWhenAConnectionHasLasted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{Link: linkTo(link.Front{})})
		if err != nil {
			t.Fatal(err)
		}
		r := &c.redials
		one, two := c.carrierTo(newPeer(t, 0)), c.carrierTo(newPeer(t, 0))
		r.take(0)
		time.Sleep(calmAfter + time.Millisecond)
		for _, l := range []*activeCarrier{one, two} {
			l.CloseFor(carrier.Cut)
			r.ended(l)
		}
		if r.fronts[0].failures != 0 || r.isCalm(0) {
			t.Errorf("got %d failures of two good carriers lost at once, want none, but trouble", r.fronts[0].failures)
		}
		time.Sleep(time.Millisecond)
		for range 2 {
			if wait := r.take(0); wait != 0 {
				t.Errorf("waits %v after the first loss, want no time", wait)
			}
		}
		r.failed(0, time.Now())
		if wait := r.take(0); wait != 0 {
			t.Errorf("waits %v after one that failed, want no time", wait)
		}
		if wait := r.wait(0); wait < redialPause || r.take(0) != wait {
			t.Errorf("waits %v after another dial, want at least %v", wait, redialPause)
		}
		time.Sleep(time.Millisecond)
		r.opened(0)
		time.Sleep(calmAfter + time.Millisecond)
		if !r.isCalm(0) || r.wait(0) != 0 || r.take(0) != 0 || r.take(0) != 0 {
			t.Error("got a front held back of which a connection lasted, want it dialled at any time")
		}
	})
}

// Carriers that nobody needed, that froze, or that led elsewhere say nothing of how often a front
// may be dialled.
func TestEndsThatAreNotTheFrontsHoldNothingBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for why, want := range map[Cause]bool{
			EndedHere: true, Silent: true, carrier.Elsewhere: true, carrier.Cut: false, carrier.Closed: false, carrier.Unproven: false,
		} {
			c, err := New(Config{Link: linkTo(link.Front{})})
			if err != nil {
				t.Fatal(err)
			}
			l := c.carrierTo(newPeer(t, 0))
			l.CloseFor(why)
			c.redials.ended(l)
			if got := c.redials.isCalm(0); got != want {
				t.Errorf("%v: got calm %v, want %v", why, got, want)
			}
		}
	})
}

// A front that is held back gives way to another of its door, if carriers by that may bring as much.
func TestAFrontThatIsHeldBackGivesWay(t *testing.T) {
	t.Parallel()
	gateway, stream := link.Front{Gateway: true}, link.Front{}
	for _, s := range []struct {
		fronts []link.Front
		tight  int // -1: none
		want   []int
	}{
		{[]link.Front{stream, stream, stream}, -1, []int{1, 0, 2}},
		{[]link.Front{stream, gateway, stream}, -1, []int{2, 0, 1}},
		{[]link.Front{stream, gateway}, -1, []int{0, 1}},
		{[]link.Front{stream, stream}, 1, []int{0, 1}},
		{[]link.Front{stream, stream, stream}, 1, []int{2, 0, 1}},
	} {
		c, err := New(Config{Link: linkTo(s.fronts...)})
		if err != nil {
			t.Fatal(err)
		}
		if s.tight >= 0 {
			c.budgets.of(s.tight).freeze(15_000, true)
		}
		c.redials.failed(0, time.Now())
		c.redials.take(0)
		if got := c.frontsToTry(anyFront); !slices.Equal(got, s.want) {
			t.Errorf("%+v: got %v, want %v", s, got, s.want)
		}
	}
}

// A tunnel whose carrier is doubted while a successor of another is dialled goes on by that.
func TestATunnelLeavesACarrierThatIsDoubtedDuringADial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, made := newPeer(t, 0), []*strained(nil)
		c, err := New(Config{Link: linkTo(link.Front{})})
		if err != nil {
			t.Fatal(err)
		}
		c.reach = func(context.Context, wanted) (*socket, int, error) {
			s := p.socket(false)
			if len(made) < 2 {
				own := &strained{memorySocket: s.Transport.(*memorySocket)}
				s.Transport, made = own, append(made, own)
				return s, 0, nil
			}
			time.Sleep(2 * time.Second)
			return s, 0, nil
		}
		run(t, c)
		main := c.pool.view().main
		beside, err := c.dial(t.Context(), main.home, anyFront)
		if err != nil {
			t.Fatal(err)
		}
		chat := []byte("question")
		stream := c.Dial(wire.Service{Kind: wire.Chat})
		stream.Write(chat)
		time.Sleep(time.Second)
		for _, s := range made {
			s.freeze.Store(1)
		}
		main.Ping() // is doubted first
		time.Sleep(time.Second / 2)
		tn := main.home.session.All()[0]
		tn.Attach(beside.Carrier, false)
		stream.Write(chat)
		time.Sleep(5 * time.Second)
		if at := tn.Carrier(); at == nil || at.Doubted() || at == beside.Carrier {
			t.Error("a tunnel stays with a carrier in doubt, want it to go by the one that works")
		}
	})
}
