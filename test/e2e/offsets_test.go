package e2e

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/origin"
)

// cutSession is a client's whole life: one exchange, whose first carrier is cut after so
// many bytes of a direction.
type cutSession struct {
	passed  [2]int64 // by the first carrier, up and down
	streams int64    // that began at the service
}

// cutAt runs a session of a client of its own. What is cut is counted inside of TLS.
func cutAt(w *world, o far, streams *atomic.Int64, user uint32, way int, at int64) (s cutSession, err error) {
	cut := limits{bytes: [2]int64{unlimited, unlimited}}
	cut.bytes[way] = at
	path := w.limit(o.addr, true, func(number int64) limits {
		if number == 1 {
			return cut
		}
		return limits{bytes: [2]int64{unlimited, unlimited}}
	})
	before := streams.Load()
	n := w.client(user, path.addr())
	err = n.order(order{Do: exchange, Seed: uint64(user), Up: 300, Down: 400})
	n.stop()
	path.close()
	return cutSession{[2]int64{path.first[0].Load(), path.first[1].Load()}, streams.Load() - before}, err
}

// Wherever the first carrier of a client is cut, in its request for a WebSocket, in the
// challenge, in what agrees on a session or in a record: every byte comes once, and the
// service sees one stream.
func TestACarrierMayBeCutAtEveryByte(t *testing.T) {
	for name, way := range map[string]int{"up": 0, "down": 1} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *world) {
				var streams atomic.Int64
				o := w.originOn(false, func(c *origin.Config) {
					c.Dial = func(ctx context.Context, s wire.Service) (net.Conn, error) {
						streams.Add(1)
						return w.dialUpstream(ctx, s)
					}
				})
				whole, err := cutAt(w, o, &streams, 1, way, unlimited)
				must(t, err)
				total, began := whole.passed[way], time.Now()
				twice := 0
				for at := int64(0); at <= total; at += size(13, 1) {
					s, err := cutAt(w, o, &streams, uint32(at)+2, way, at)
					if err != nil {
						t.Errorf("cut after %d of %d bytes: %v", at, total, err)
					}
					if s.streams != 1 {
						twice++
						t.Errorf("cut after %d of %d bytes: got %d streams at the service, want 1", at, total, s.streams)
					}
				}
				t.Logf("%d bytes in all, %d sessions with other than one stream, %v", total, twice, time.Since(began))
			})
		})
	}
}
