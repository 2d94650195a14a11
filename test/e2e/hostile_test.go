package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/serve"
	"culvert/internal/session"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
)

// counted counts the streams that an origin begins at the service.
func (w *world) counted(streams *atomic.Int64) func(*origin.Config) {
	return func(c *origin.Config) {
		c.Dial = func(ctx context.Context, s wire.Service) (net.Conn, error) {
			streams.Add(1)
			return w.dialUpstream(ctx, s)
		}
	}
}

// advertised is an origin that names itself to clients, so that they know it from others.
func (w *world) advertised(change ...func(*origin.Config)) far {
	w.Helper()
	at := w.net.listen(w)
	cfg := origin.Config{Master: w.master, Site: site.Handler(), Advertise: netip.MustParseAddrPort(at.Addr().String()), Reach: w.net.dial}
	for _, c := range change {
		c(&cfg)
	}
	o, err := origin.New(cfg)
	must(w, err)
	f := far{o, w.serve(o.Wrap(at), serve.Service{Handler: o})}
	w.Cleanup(f.crash)
	return f
}

// An edge keeps, repeats, swaps, drops, changes and forges messages, takes those of other
// carriers, holds whole carriers back and leads them to another origin. What breaks is a carrier each time: of
// what the app says and hears no byte is wrong, and none is lost.
func TestAHostileEdgeBreaksCarriersAlone(t *testing.T) {
	for _, origins := range []int{1, 2} {
		t.Run(fmt.Sprintf("%d origins", origins), func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var streams atomic.Int64
				h := w.hostile(25, w.advertised(w.counted(&streams)).addr)
				for range origins - 1 {
					h.origins = append(h.origins, w.advertised(w.counted(&streams)).addr)
				}
				clients := []*near{w.client(1, h.addr()), w.client(1, h.addr()), w.client(2, h.addr())}
				rounds := size(4, 60)
				var all sync.WaitGroup
				for i, n := range clients {
					all.Go(func() {
						for round := range uint64(rounds) {
							o := order{Do: exchange, Seed: 1000*uint64(i) + round, Up: 100_000, Down: 100_000}
							if err := n.order(o); err != nil {
								t.Errorf("client %d, round %d: %v", i, round, err)
							}
						}
					})
				}
				all.Wait()
				t.Logf("%d messages were not passed on as they came, %d carriers led astray, %d held back; %d tunnels, %d streams",
					h.wrongs.Load(), h.astray.Load(), h.held.Load(), 3*rounds, streams.Load())
				if h.wrongs.Load() < rounds {
					t.Errorf("got %d messages not passed on as they came, want more", h.wrongs.Load())
				}
				if got := streams.Load(); got < 3*rounds || got > 3*rounds+h.astray.Load() { // what another origin may have begun is begun anew
					t.Errorf("got %d streams at the service, want %d", got, 3*rounds)
				}
				for _, n := range clients {
					checkEnds(t, n)
				}
			})
		})
	}
}

// All carriers of a client are seen once more: at once, when their tokens have expired, and
// a year later; by the origin that saw them, by another, and by one that was restarted.
// Nothing begins, nobody is heard, and whoever's token is old or was taken sees a website.
func TestWhatAnEdgeHasKeptIsGoodForNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		count := w.counted(&streams)
		first, second := w.advertised(count), w.advertised(count)
		h := w.hostile(0, first.addr, second.addr)
		n := w.client(1, h.addr())
		for seed := range uint64(3) {
			must(t, n.order(order{Do: exchange, Seed: seed, Up: 30_000, Down: 30_000}))
		}
		n.stop()
		kept, began := h.allShows(), streams.Load()
		again := func(name string, i int, website bool) {
			for _, s := range kept {
				said, err := h.repeat(s, i)
				if website != (err == errNoUpgrade) {
					t.Errorf("%s: got %v, want a website %v", name, err, website)
				}
				for _, msg := range said {
					if !isPlain(msg) {
						t.Errorf("%s: got a message of %d bytes, want a challenge at most", name, len(msg))
					}
				}
			}
			if got := streams.Load(); got != began {
				t.Errorf("%s: got %d streams at the service, want none", name, got-began)
			}
		}
		again("at once", 0, true)
		again("at once, by another origin", 1, false)
		again("at once, by another origin, again", 1, true)
		time.Sleep(wire.TokenLife + time.Minute)
		again("when tokens have expired", 0, true)
		again("when tokens have expired, by another origin", 1, true)
		first.crash()
		second.crash()
		synctest.Wait()
		time.Sleep(365 * 24 * time.Hour)
		h.origins = append(h.origins, w.advertised(count).addr)
		again("a year later, by a new origin", 2, true)
	})
}

// isPlain reports that a message holds no record.
func isPlain(msg []byte) bool {
	for len(msg) > 0 {
		plain, _, rest, err := session.Next(msg)
		if err != nil || plain == session.Record {
			return false
		}
		msg = rest
	}
	return true
}
