package client

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
)

// ring is the order of n fronts.
func ring(n int) func(int) int { return func(front int) int { return (front + 1) % n } }

func TestShortLivedCarriersTurnTheClientToTheNextFront(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := frontHealth{after: ring(2)}
		h.reached(1)
		h.carrierDied(1, false, time.Second)
		if got := h.first(); got != 1 || !h.streamAt().IsZero() {
			t.Errorf("after one short life: got front %d, stream door from %v; want it tried again at once", got, h.streamAt())
		}
		h.carrierDied(1, false, time.Second)
		if got := h.first(); got != 0 {
			t.Errorf("after two: got front %d, want the next", got)
		}
		if got := time.Until(h.streamAt()); got != backToStream {
			t.Errorf("after two: got the stream door left alone for %v, want %v", got, backToStream)
		}
		for range 9 {
			h.carrierDied(1, false, time.Second)
		}
		if got, want := time.Until(h.streamAt()), backToStream<<maxDoublings; got != want {
			t.Errorf("after many: got the stream door left alone for %v, want no more than %v", got, want)
		}
		h.carrierDied(1, false, time.Hour)
		if !h.streamAt().IsZero() {
			t.Error("after a long life: got the stream door left alone, want it tried")
		}
	})
}

func TestAFrontHasTwiceAsLongAsItUsedToTake(t *testing.T) {
	t.Parallel()
	var h frontHealth
	for _, s := range []struct{ took, want time.Duration }{
		{0, headStartFirst},
		{time.Second, 2 * time.Second},
		{2 * time.Second, 2500 * time.Millisecond}, // one dial more does not say much
		{time.Minute, headStartMost},
	} {
		if s.took > 0 {
			h.answeredIn(1, s.took)
		}
		if got := h.headStart(1); got != s.want {
			t.Errorf("after %v: got %v, want %v", s.took, got, s.want)
		}
	}
	h.answeredIn(0, 10*time.Millisecond)
	if got := h.headStart(0); got != headStartLeast {
		t.Errorf("a fast one: got %v, want %v", got, headStartLeast)
	}
}

func TestAShortLifeAtAnotherFrontBeginsTheCountAnew(t *testing.T) {
	t.Parallel()
	h := frontHealth{after: ring(3)}
	h.reached(1)
	for _, front := range []int{1, 2, 1} {
		h.carrierDied(front, false, time.Second)
	}
	if got := h.first(); got != 1 {
		t.Errorf("got front %d, want the one that was reached last", got)
	}
}

func TestTheGatewayDoorsShortLivesLeaveTheStreamDoorAlone(t *testing.T) {
	t.Parallel()
	h := frontHealth{after: ring(2)}
	for range 5 {
		h.carrierDied(0, true, time.Second)
	}
	if got := h.streamAt(); !got.IsZero() || h.first() != 1 {
		t.Errorf("got front %d and the stream door from %v, want the next front, and the stream door at any time", h.first(), got)
	}
}

func TestAnswersWithoutTheOriginAreARefusalUntilItIsHeard(t *testing.T) {
	t.Parallel()
	var h frontHealth
	for i := range maxUnanswered {
		if h.refused() {
			t.Errorf("after %d answers: got a refusal, want %d to be one", i, maxUnanswered)
		}
		h.answered(false)
	}
	if !h.refused() || h.longestPause(true) != refusedWaiting || h.longestPause(false) != refusedIdle {
		t.Errorf("got pauses of %v and %v, want those of a refusal", h.longestPause(true), h.longestPause(false))
	}
	h.answered(true)
	if h.refused() || h.longestPause(true) != retryWaiting || h.longestPause(false) != retryIdle {
		t.Errorf("got pauses of %v and %v, want no refusal any more", h.longestPause(true), h.longestPause(false))
	}
}

// Dials drain batteries, and those that are answered cost whoever runs the relay
// money: trouble may last for days.
func TestAClientInTroubleDialsNoMoreOftenThanItsPausesSay(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		name    string
		err     error
		waiting bool
		mean    time.Duration
	}{
		{"nothing answers, nobody waits", net.ErrClosed, false, 30 * time.Second},
		{"nothing answers, the app waits", net.ErrClosed, true, 2 * time.Second},
		{"the link is void, nobody waits", ErrNotLetIn, false, 5 * time.Minute},
		{"the link is void, the app waits", ErrNotLetIn, true, 30 * time.Second},
		{"the origin is down, nobody waits", errBehind, false, 5 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			c, err := New(Config{Link: linkTo(link.Front{})})
			if err != nil {
				t.Fatal(err)
			}
			dials := 0
			c.reach = func(context.Context, wanted) (*socket, int, error) {
				dials++
				if s.waiting && c.Status().Tunnels == 0 { // the one before has waited long enough
					c.Dial(wire.Service{Kind: wire.Chat})
				}
				return nil, 0, s.err
			}
			const most = 600
			ctx, cancel := context.WithTimeout(t.Context(), most*s.mean)
			defer cancel()
			c.Run(ctx)
			if limit := most*106/100 + 12; dials > limit || dials < most*90/100 { // some more while pauses grow
				t.Errorf("%s: got %d dials in %v, want about %d", s.name, dials, most*s.mean, most)
			}
		})
	}
}
