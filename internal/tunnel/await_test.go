package tunnel

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// awaited is a client's carrier that is not there yet, whose first message is made: near's frames
// are seen by see.
func (n *Net) awaited(tun *Tunnel, see func(wire.Frame)) (near, far *carrier.Carrier, first []byte) {
	a, b := socketPair(9, fate{}, fate{})
	near, far = n.between(n.session, a, b, a, b)
	n.watch(near, see)
	near.Hold()
	tun.Await(near)
	return near, far, near.First(wire.MaxAhead)
}

// A tunnel that awaits a carrier says so in its first message, sends by others meanwhile, and goes on
// by that alone when they have died.
func TestATunnelSendsByOthersThanTheOneThatItAwaits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		app, service, tun := joined(t, n, one)
		var said []wire.Kind
		alone := false
		near, far, first := n.awaited(tun, func(f wire.Frame) {
			said, alone = append(said, f.Kind), alone || f.Code&wire.Alone != 0
		})
		if !slices.Equal(said, []wire.Kind{wire.Use}) || alone {
			t.Fatalf("got %v in the first message, want a Use beside others", said)
		}
		exchange := func(seed byte) {
			t.Helper()
			go app.Write(bytesOf(9<<10, seed))
			go service.Write(bytesOf(9<<10, seed+1))
			for got, want := range map[*memStream][]byte{service: bytesOf(9<<10, seed), app: bytesOf(9<<10, seed+1)} {
				b := make([]byte, len(want))
				if _, err := io.ReadFull(got, b); err != nil || !bytes.Equal(b, want) {
					t.Fatalf("got other bytes, or %v", err)
				}
			}
		}
		began := time.Now()
		exchange(1)
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v, want others to take what the awaited carrier cannot", took)
		}
		n.socket(near).WriteMessage(first)
		n.serve(near, far)
		near.Release()
		tun.Add(near)
		one.Close()
		exchange(3)
	})
}

// One that does not come is one that has died: what it may have been sent goes by others.
func TestAnAwaitedCarrierThatDoesNotComeLosesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		one, _ := n.first()
		app, service, tun := joined(t, n, one)
		two, _ := n.carrier(fate{}, fate{})
		tun.Add(two)
		time.Sleep(time.Second)
		near, far, first := n.awaited(tun, func(wire.Frame) {})
		n.socket(near).WriteMessage(first)
		n.serving.Go(func() { far.Serve() }) // the origin has it, and sends by it
		time.Sleep(time.Second)
		go service.Write(bytesOf(40<<10, 1))
		time.Sleep(time.Second)
		near.Close()
		n.serving.Go(func() { near.Serve() })
		synctest.Wait()
		tun.mu.Lock()
		if sends := len(tun.paths); sends != 2 || !tun.paths[0].sends || !tun.paths[1].sends {
			t.Errorf("got %d paths, want two that send as before", sends)
		}
		tun.mu.Unlock()
		got := make([]byte, 40<<10)
		if _, err := io.ReadFull(app, got); err != nil || !bytes.Equal(got, bytesOf(40<<10, 1)) {
			t.Errorf("got other bytes, or %v", err)
		}
	})
}
