package e2e

import (
	"fmt"
	"testing"
	"time"

	"culvert/internal/link"
)

// littleWorld is an origin whose carriers pass what a test lets them, counted inside of TLS.
type littleWorld struct {
	*world
	door   string
	target string
	user   uint32
}

func newLittleWorld(w *world, door string) *littleWorld {
	w.Helper()
	if door == "gateway" {
		return &littleWorld{world: w, door: door, target: w.api(apiOptions{}).posts.addr} // API Gateway in the clear
	}
	return &littleWorld{world: w, door: door, target: w.originOn(false).addr}
}

func (w *littleWorld) front(addr string) link.Front {
	if w.door == "gateway" {
		return w.textFront(addr)
	}
	return w.world.front(addr)
}

// run has a client of its own carry out o, and wants every byte to come once, by one
// stream, and all to end in order.
func (w *littleWorld) run(o order, of func(number int64) limits) *limiter {
	w.Helper()
	w.user++
	path := w.limit(w.target, true, of)
	defer path.close()
	n := w.clientBy(w.user, w.front(path.addr()))
	defer n.stop()
	app := n.app()
	defer app.Close()
	app.SetDeadline(time.Now().Add(12 * time.Hour))
	if err := o.run(app); err != nil {
		w.Error(err)
	}
	if e := <-n.ended; e.Reason != 0 {
		w.Errorf("the tunnel ended: %v (from peer: %v, error: %v), want in order", e.Reason, e.FromPeer, e.Err)
	}
	if err := <-w.up.ended; err != nil {
		w.Errorf("upstream: %v", err)
	}
	if more := len(w.up.ended); more > 0 {
		w.Errorf("got %d streams more at the service, want one", more)
	}
	return path
}

func noLimits(int64) limits { return limits{bytes: [2]int64{unlimited, unlimited}} }

// Both the carrier that agrees on a session and the one that joins it are cut, wherever
// that may be, at both doors.
func TestTwoCarriersMayBeCutAtEveryByte(t *testing.T) {
	steps := map[string]int64{"stream": size(31, 1), "gateway": size(97, 5)} // one of these takes five times as long
	for door, step := range steps {
		for way, name := range []string{"up", "down"} {
			t.Run(door+" "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) { newLittleWorld(w, door).cutTwo(way, step) })
			})
		}
	}
}

func (w *littleWorld) cutTwo(way int, step int64) {
	short := order{Do: exchange, Seed: 7, Up: 300, Down: 300}
	total := w.run(short, noLimits).first[way].Load()
	for at := int64(0); at <= total && !w.Failed(); at += step {
		w.run(short, func(number int64) limits {
			cut := noLimits(number)
			if number <= 2 {
				cut.bytes[way] = at
			}
			return cut
		})
		if w.Failed() {
			w.Errorf("carriers were cut after %d of %d bytes", at, total)
		}
	}
}

// Every carrier passes so many bytes each way, and is cut or freezes then: what was on its
// way goes again in other pieces, and each carrier brings some that is new.
func TestBulkGoesThroughCarriersThatPassLittle(t *testing.T) {
	for _, freezes := range []bool{false, true} {
		for n := int64(6_000); n <= 40_000; n += size(8_500, 1_700) {
			t.Run(fmt.Sprintf("%d bytes, freezes %v", n, freezes), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					newLittleWorld(w, "stream").runLittle(n, freezes, 300_000, 2*300_000*5/4/(n-4_000)+10)
				})
			})
		}
	}
}

// Messages are larger than records, at first, and their text is longer than what it says.
func TestBulkGoesThroughTextThatPassesLittle(t *testing.T) {
	for _, freezes := range []bool{false, true} {
		for n := int64(14_500); n <= 40_000; n += size(17_000, 1_700) {
			t.Run(fmt.Sprintf("%d bytes, freezes %v", n, freezes), func(t *testing.T) {
				bubble(t, func(t *testing.T, w *world) {
					newLittleWorld(w, "gateway").runLittle(n, freezes, 100_000, 2*100_000*2/(n-6_000)+25)
				})
			})
		}
	}
}

// runLittle moves so much bulk each way by carriers of which each passes n bytes, and wants most of them at most.
func (w *littleWorld) runLittle(n int64, freezes bool, bulk, most int64) {
	w.Helper()
	began := time.Now()
	path := w.run(order{Do: exchange, Seed: 3, Up: bulk, Down: bulk},
		func(int64) limits { return limits{bytes: [2]int64{n, n}, freezes: freezes} })
	carriers, took := path.dials.Load(), time.Since(began)
	w.Logf("%d carriers, %v", carriers, took.Round(time.Second))
	if carriers > most {
		w.Errorf("got %d carriers, want %d at most", carriers, most)
	}
}
