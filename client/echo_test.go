package client

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/link"
)

// strained is a socket whose peer hears no more after some bytes, or only so many a
// second.
type strained struct {
	*memorySocket
	freeze atomic.Int64 // bytes until then; 0: never
	rate   int          // bytes a second; 0: any
	down   int          // bytes a second that come back; 0: any

	away, most atomic.Int64 // bytes that were sent and did not come back, now and at most
}

func (s *strained) NextMessage() (io.Reader, error) {
	r, err := s.memorySocket.NextMessage()
	if err != nil || s.down == 0 {
		return r, err
	}
	b, err := io.ReadAll(r)
	time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(s.down))
	s.away.Add(-int64(len(b)))
	return bytes.NewReader(b), err
}

func (s *strained) WriteMessage(b []byte) error {
	s.most.Store(max(s.most.Load(), s.away.Add(int64(len(b)))))
	if left := s.freeze.Load(); left > 0 {
		if s.freeze.Store(max(left-int64(len(b)), 1)); s.freeze.Load() == 1 {
			<-s.pair.closed
		}
	}
	if s.rate > 0 {
		time.Sleep(time.Duration(len(b)) * time.Second / time.Duration(s.rate))
	}
	return s.memorySocket.WriteMessage(b)
}

// strainedClient is a client that runs, whose first carrier's way up is strained.
func strainedClient(t *testing.T, change func(*strained)) *Client {
	t.Helper()
	p, first := newPeer(t, 0), true
	c, err := New(Config{Link: linkTo(link.Front{})})
	if err != nil {
		t.Fatal(err)
	}
	c.reach = func(context.Context, wanted) (*socket, int, error) {
		s := p.socket(false)
		if first {
			own := &strained{memorySocket: s.Transport.(*memorySocket)}
			change(own)
			s.Transport, first = own, false
		}
		return s, 0, nil
	}
	run(t, c)
	return c
}

func TestAnEchoTellsAFrozenPathFromASlowOneAndAFreeOne(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*strained)
		all    bool
		rate   [2]int
		end    Cause
		most   time.Duration
	}{
		"free":   {func(*strained) {}, true, [2]int{0, 0}, 0, time.Second},
		"slow":   {func(s *strained) { s.rate = 8000 }, true, [2]int{55_000, 64_000}, 0, 6 * time.Second},
		"frozen": {func(s *strained) { s.freeze.Store(15_000) }, false, [2]int{0, 0}, carrier.Silent, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			client, began := strainedClient(t, c.change), time.Now()
			got := client.Echo(t.Context(), 32<<10)
			if all := got.Came == 32<<10/9*9; all != c.all || got.End != c.end || got.Rate < c.rate[0] || got.Rate > c.rate[1] {
				t.Errorf("%s: got %+v, want all %v, a rate in %v, end %q", name, got, c.all, c.rate, c.end)
			}
			if took := time.Since(began); took > c.most {
				t.Errorf("%s: took %v, want at most %v", name, took, c.most)
			}
		})
	}
}

// A slow path's queue drops what it cannot take, and what is dropped looks like a freeze.
func TestAnEchoHasLittleUnderWayWhereLittlePasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *strained
		c := strainedClient(t, func(own *strained) { own.down, s = 8000, own })
		got := c.Echo(t.Context(), 32<<10)
		if most := s.most.Load(); got.End != 0 || got.Rate < 50_000 || most > 6<<10 {
			t.Errorf("got %+v, %d bytes under way, want all of them, 6 KiB at most at once", got, most)
		}
	})
}

// Whoever else in the client gives a silent carrier up before Echo does says the same.
func TestACarrierThatIsGivenUpWhileItOwesAnAnswerWasSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strainedClient(t, func(s *strained) { s.freeze.Store(15_000) })
		time.AfterFunc(2*time.Second, c.pool.view().main.Close)
		if got := c.Echo(t.Context(), 32<<10); got.End != Silent {
			t.Errorf("got %+v, want silence", got)
		}
	})
}

func TestARestEndsWithACutOrWithoutHarm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strainedClient(t, func(*strained) {})
		if why, after := c.Rest(t.Context(), time.Minute); why != 0 || after < time.Minute || after > time.Minute+time.Second {
			t.Errorf("got %q after %v, want no harm in a minute", why, after)
		}
		main := c.pool.view().main
		time.AfterFunc(10*time.Second, func() { main.CloseFor(carrier.Closed) })
		if why, after := c.Rest(t.Context(), time.Minute); why != carrier.Closed || after.Round(time.Second) != 10*time.Second {
			t.Errorf("got %q after %v, want closed after 10 s", why, after)
		}
	})
}

// A NAT that forgets a connection says nothing.
func TestARestFindsASilentEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s *strained
		c := strainedClient(t, func(own *strained) { s = own })
		time.AfterFunc(10*time.Second, func() { s.freeze.Store(1) })
		if why, after := c.Rest(t.Context(), 20*time.Second); why != Silent || after.Round(time.Second) != 20*time.Second {
			t.Errorf("got %q after %v, want silence after 20 s", why, after)
		}
	})
}

func TestStatusSaysWhatCarriesAndWhyTheLastCarrierEnded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strainedClient(t, func(*strained) {})
		s := c.Status()
		if len(s.Ways) != 1 || s.Ways[0] != (Way{}) || len(s.Ends) != 0 || s.LastEnd.Cause != 0 {
			t.Errorf("got %+v, want one way and no end", s)
		}
		c.pool.view().main.CloseFor(Silent)
		time.Sleep(time.Second)
		s = c.Status()
		if s.Ends[Silent] != 1 || s.LastEnd.Cause != Silent || s.LastEnd.Lived.Round(time.Second) != time.Second || len(s.Ways) != 1 {
			t.Errorf("got %+v, want a silent end after a second, and another carrier", s)
		}
	})
}
