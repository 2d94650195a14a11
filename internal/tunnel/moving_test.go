package tunnel

import (
	"bytes"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

func TestAMoveBetweenLivingCarriersLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		slow := fate{delay: 20 * time.Millisecond, room: 4}
		var mu sync.Mutex
		sent := map[*Table]int{}
		watched := func() *carrier.Carrier {
			near, far := n.carrier(slow, slow)
			for c, table := range map[*carrier.Carrier]*Table{near: n.near, far: n.far} {
				n.socket(c).log = func(m []byte) {
					mu.Lock()
					defer mu.Unlock()
					frames(m, func(h wire.Header) {
						if h.Kind == wire.Data {
							sent[table] += h.Len - wire.Overhead
						}
					})
				}
			}
			return near
		}
		one, two := watched(), watched()
		app, service, tun := joined(t, n, 1, one)
		up, down := bytesOf(2<<20, 1), bytesOf(2<<20, 2)
		done := make(chan struct{})
		go func() {
			defer close(done)
			talk(t, app, func() *memStream { return service }, up, up, down, 50<<10)
		}()
		for _, c := range []*carrier.Carrier{two, one, two} {
			time.Sleep(77 * time.Millisecond)
			tun.Attach(c, false)
		}
		<-done
		if sent[n.near] != len(up) || sent[n.far] != len(down) {
			t.Errorf("sent %d up and %d down, want %d and %d: each byte once", sent[n.near], sent[n.far], len(up), len(down))
		}
	})
}

// What was on its way by a carrier that the tunnel has left, and that dies
// without the origin's hearing of it, comes by the other.
func TestWhatACarrierThatWasLeftTookAlongComesAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, farOne := n.carrier(fate{}, fate{})
		two, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, one)
		n.socket(farOne).change(func(f *fate) { f.silent = true })
		service.Write([]byte("lost"))
		time.Sleep(time.Millisecond)
		tun.Attach(two, false)
		time.Sleep(time.Millisecond)
		service.Write([]byte(", found"))
		one.Close()
		began := time.Now()
		got := make([]byte, 11)
		io.ReadFull(app, got)
		if took := time.Since(began); string(got) != "lost, found" || took > time.Second {
			t.Errorf("got %q after %v, want all at once", got, took)
		}
	})
}

// The origin may be stuck in a write to a carrier of which the client knows
// that it is dead.
func TestNobodyWaitsForACarrierThatWasLeft(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, farOne := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, one)
		want := bytesOf(200<<10, 1)
		jam := func(near, far *carrier.Carrier) {
			n.socket(near).change(func(f *fate) { f.silent = true }) // nobody hears of its end
			n.socket(far).change(func(f *fate) { f.stuck = true })
		}
		jam(one, farOne) // here the pump is stuck
		go service.Write(want)
		time.Sleep(time.Millisecond)
		one.Close()
		two, _ := n.carrier(fate{}, fate{stuck: true}) // here whoever sends again
		tun.Attach(two, true)
		time.Sleep(time.Millisecond)
		n.socket(two).change(func(f *fate) { f.silent = true })
		two.Close()
		three, _ := n.carrier(fate{}, fate{})
		tun.Attach(three, true)
		began := time.Now()
		got := make([]byte, len(want))
		io.ReadFull(app, got)
		if took := time.Since(began); !bytes.Equal(got, want) || took > time.Second {
			t.Errorf("got them after %v, want all at once", took)
		}
	})
}

// A peer that may send no more until it hears of more hears of it when the
// tunnel moves.
func TestAMoveTellsTheWindow(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.carrier(fate{}, fate{})
		two, _ := n.carrier(fate{}, fate{})
		app, service, tun := joined(t, n, 1, one)
		n.socket(one).change(func(f *fate) { f.silent = true }) // acks are lost
		go service.Write(bytesOf(1<<20, 1))
		time.Sleep(time.Second)
		go io.Copy(io.Discard, app)
		time.Sleep(time.Second)
		tun.Attach(two, true)
		time.Sleep(time.Second)
		tun.mu.Lock()
		defer tun.mu.Unlock()
		if tun.written != 1<<20 {
			t.Errorf("got %d bytes, want %d", tun.written, 1<<20)
		}
	})
}

// A carrier that dies while a tunnel is attached to it never has the tunnel.
func TestADeadCarrierIsNotTaken(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.carrier(fate{}, fate{})
		_, _, tun := joined(t, n, 1, one)
		two, _ := n.carrier(fate{}, fate{})
		two.Close()
		synctest.Wait()
		tun.mu.Lock()
		took := tun.use(two)
		tun.mu.Unlock()
		if took || tun.Carrier() != one || two.Load() != 0 {
			t.Errorf("got taken %v, load %d, want the tunnel to stay", took, two.Load())
		}
	})
}
