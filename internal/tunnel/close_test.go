package tunnel

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// bubbleMates lists the stacks of the bubble's goroutines but for the caller's.
func bubbleMates(t *testing.T) (all []string) {
	t.Helper()
	synctest.Wait() // those that have said that they end
	buf := make([]byte, 1<<20)
	_, bubble, ok := strings.Cut(strings.SplitN(string(buf[:runtime.Stack(buf, false)]), "\n", 2)[0], "synctest bubble ")
	if !ok {
		t.Fatal("not in a bubble")
	}
	stacks := strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")
	for _, s := range stacks[1:] {
		head := strings.SplitN(s, "\n", 2)[0]
		harness := strings.Contains(s, "testingSynctestTest(") || strings.Contains(s, "internal/synctest.Run(")
		if strings.HasSuffix(head, "synctest bubble "+bubble) && !harness {
			all = append(all, s)
		}
	}
	return all
}

// busyTable is one end's table amid all that it may be at: tunnels whose streams
// take nothing, or are about to open, by a carrier that works, by one that is stuck
// and by none, acks that are due, and a bulk one that is told of.
func busyTable(t *testing.T, atOrigin bool, over func(*memSocket) transport.Transport) (*Table, *Net) {
	t.Helper()
	n := newNet(t)
	n.cancel() // its sweeps are the test's
	n.serving.Wait()
	n.near.Bulk = func(*Tunnel) { time.Sleep(time.Minute) }
	made := func(a, b fate) (near, far *carrier.Carrier, socket *memSocket) {
		x, y := socketPair(1, a, b)
		if atOrigin {
			near, far = n.near.NewCarrier(x, 0), n.far.NewCarrier(over(y), 7)
		} else {
			near, far = n.near.NewCarrier(over(x), 0), n.far.NewCarrier(y, 7)
		}
		near.Start()
		far.Start()
		return near, far, x
	}
	works, _, _ := made(fate{}, fate{})
	fails, _, socket := made(fate{}, fate{})
	for id := range wire.TunnelID(9) {
		c := works
		if id%2 == 1 {
			c = fails
		}
		app, _ := n.dial(c, id+1, []byte("early"))
		service := <-n.service(id + 1)
		go app.Write(bytesOf(2<<20, 1))
		go service.Write(bytesOf(2<<20, 2))
	}
	synctest.Wait()
	socket.change(func(f *fate) { f.stuck = true })
	n.dial(nil, 100, nil)
	n.dial(works, 101, nil)
	works.Ping()
	if atOrigin {
		return n.far, n
	}
	return n.near, n
}

// gatewayDoor is a memSocket that behaves as a transport of the gateway door.
func gatewayDoor(s *memSocket) transport.Transport { return gatewaySocket{s} }

func streamDoor(s *memSocket) transport.Transport { return s }

func TestNoGoroutineIsLeftAfterATableCloses(t *testing.T) {
	t.Parallel()
	for name, atOrigin := range map[string]bool{"client": false, "origin": true} {
		for door, over := range map[string]func(*memSocket) transport.Transport{"stream": streamDoor, "gateway": gatewayDoor} {
			t.Run(name+", "+door+" door", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					mine, n := busyTable(t, atOrigin, over)
					peer := n.near
					if mine == n.near {
						peer = n.far
					}
					mine.Close()
					mine.Close() // twice does no harm
					peer.Close()
					if left := bubbleMates(t); len(left) > 0 {
						t.Errorf("got %d goroutines left, want none:\n%s", len(left), strings.Join(left, "\n\n"))
					}
				})
			})
		}
	}
}

// Posts that API Gateway does not answer, and a message that is not due, end with
// the table.
func TestNoGoroutineIsLeftAfterATableWithCallbacksCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tb := NewTable(Events{Open: func(*carrier.Carrier, wire.TunnelID, []byte) error { return nil }}, nil)
		stuck := func(ctx context.Context, _ []byte) error { <-ctx.Done(); return ctx.Err() }
		conn := transport.NewCallbackConn(stuck, 2, strings.Repeat("t", wire.TicketLen))
		c := tb.NewCarrier(conn, 7)
		c.Start()
		if left := bubbleMates(t); len(left) > 0 {
			t.Errorf("got %d goroutines of an idle connection, want none:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		for range 3 {
			c.PutFrame(frameOf(wire.Header{Kind: wire.Accept, Tunnel: 1, Window: 1}, bytes.Repeat([]byte("2"), 48)...))
			time.Sleep(time.Second)
		}
		c.Ping()
		began := time.Now()
		tb.Close()
		if left := bubbleMates(t); len(left) > 0 || time.Since(began) > 0 {
			t.Errorf("got %d goroutines left after %v, want none at once:\n%s", len(left), time.Since(began), strings.Join(left, "\n\n"))
		}
		if err := conn.Take(wire.Up{}); err == nil {
			t.Error("got a message taken after the end, want an error")
		}
	})
}

// What streams move counts while their tunnels run, by the kind of service.
func TestBytesCountWhileTheyMove(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, 1, c)
		app.Write(bytesOf(1000, 1))
		service.Write(bytesOf(2000, 2))
		time.Sleep(time.Second)
		before, _ := n.near.MovedOf(wire.Chat)
		if up, down := n.far.MovedOf(wire.Chat); down < 1000 || up != 2000 || before < 900 {
			t.Errorf("got %d up and %d down at the origin and %d up at the client, want them counted", down, up, before)
		}
		if up, down := n.far.MovedOf(wire.Media); up+down != 0 {
			t.Errorf("got %d and %d of media, want none", up, down)
		}
		if sent, received := n.near.Moved(); sent != before || received != 2000 {
			t.Errorf("got %d and %d in all, want %d and 2000", sent, received, before)
		}
	})
}

// What is read while no carrier is there goes by the next one, and counts as well.
func TestBytesReadWithoutACarrierCount(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		_, service, near := joined(t, n, 1, c)
		c.Close()
		synctest.Wait()
		service.Write(bytesOf(2000, 2))
		synctest.Wait()
		next, _ := n.carrier(fate{}, fate{})
		near.Attach(next, true)
		time.Sleep(time.Second)
		_, down := n.near.MovedOf(wire.Chat)
		if up, _ := n.far.MovedOf(wire.Chat); up != 2000 || down != 2000 {
			t.Errorf("got %d sent by the origin and %d received, want 2000", up, down)
		}
	})
}
