package tunnel

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/share"
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
func busyTable(t *testing.T, atOrigin bool, door session.Door) (*Table, *Net) {
	t.Helper()
	n := newNet(t)
	n.door = door
	n.cancel() // its sweeps are the test's
	n.serving.Wait()
	n.near.Bulk = func(*Tunnel) { time.Sleep(time.Minute) }
	n.far.Shares.Memory = share.NewBound[uint32](1 << 30)
	made := func() (near *carrier.Carrier, socket *memSocket) {
		x, y := socketPair(1, fate{}, fate{})
		near, far := n.between(n.session, x, y, x, y)
		near.Start()
		far.Start()
		time.Sleep(time.Second)
		return near, x
	}
	works, _ := made()
	fails, socket := made()
	for i := range 9 {
		c := works
		if i%2 == 1 {
			c = fails
		}
		app, tun := n.dial(c, []byte("early"))
		service := <-n.service(tun.number())
		go app.Write(bytesOf(2<<20, 1))
		go service.Write(bytesOf(2<<20, 2))
	}
	time.Sleep(2 * time.Second)
	socket.change(func(f *fate) { f.stuck = true })
	n.dial(nil, nil)
	n.dialAfter = time.Hour
	n.dial(works, nil)
	works.Ping()
	if atOrigin {
		return n.far, n
	}
	return n.near, n
}

func TestNoGoroutineIsLeftAfterATableCloses(t *testing.T) {
	t.Parallel()
	for name, atOrigin := range map[string]bool{"client": false, "origin": true} {
		for at, door := range map[string]session.Door{"stream": session.Stream, "gateway": session.Gateway} {
			t.Run(name+", "+at+" door", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					mine, n := busyTable(t, atOrigin, door)
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
					if all := n.far.Shares.Memory.Taken(); all != 0 {
						t.Errorf("got %d bytes counted after the end, want none", all)
					}
					if near, far := n.near.Shares.Windows.Taken(), n.far.Shares.Windows.Taken(); near != 0 || far != 0 {
						t.Errorf("got %d and %d of the budgets taken after the end, want none", near, far)
					}
				})
			})
		}
	}
}

// An idle carrier, with tunnels or none, is served by no goroutine of its own beside the
// one that waits for messages where a transport needs one, once it has been swept.
func TestAnIdleCarrierHasNoWriter(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		joined(t, n, c)
		time.Sleep(3 * sweepEvery)
		for _, s := range bubbleMates(t) {
			if strings.Contains(s, ".(*Carrier).write") {
				t.Errorf("got a writer:\n%s", s)
			}
		}
	})
}

// Posts that API Gateway does not answer, and a message that is not due, end with
// the table.
func TestNoGoroutineIsLeftAfterATableWithCallbacksCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNet(t)
		n.cancel()
		n.serving.Wait()
		n.door = session.Gateway
		stuck := func(ctx context.Context, _ []byte) error { <-ctx.Done(); return ctx.Err() }
		conn := transport.NewCallbackConn(stuck, 2, strings.Repeat("t", wire.TicketLen))
		token := wire.NewToken(testUser, wire.TokenKey{}, [32]byte{}, time.Now())
		c := n.far.NewCarrier(conn, n.origin.Carrier(n.door, token, testUser, n.master.Pair(testUser), time.Now()), testUser)
		c.Start()
		if left := bubbleMates(t); len(left) > 0 {
			t.Errorf("got %d goroutines of an idle connection, want none:\n%s", len(left), strings.Join(left, "\n\n"))
		}
		// A client's first message is answered by a post that stays.
		a, b := socketPair(1, fate{}, fate{})
		near, _ := n.between(n.session, a, b, a, b)
		oc := n.origin.Carrier(n.door, n.party(near).token, testUser, n.master.Pair(testUser), time.Now())
		conn2 := transport.NewCallbackConn(stuck, 2, strings.Repeat("t", wire.TicketLen))
		c2 := n.far.NewCarrier(conn2, oc, testUser)
		c2.Start()
		a.log = func(m []byte) {
			if err := conn2.Take(wire.Up{Body: wire.AppendText(nil, m)}); err != nil {
				t.Error(err)
			}
		}
		near.Start()
		time.Sleep(time.Second)
		began := time.Now()
		n.far.Close()
		n.near.Close()
		if left := bubbleMates(t); len(left) > 0 || time.Since(began) > 0 {
			t.Errorf("got %d goroutines left after %v, want none at once:\n%s", len(left), time.Since(began), strings.Join(left, "\n\n"))
		}
		if err := conn2.Take(wire.Up{}); err == nil {
			t.Error("got a message taken after the end, want an error")
		}
	})
}

// What streams move counts while their tunnels run, by the kind of service.
func TestBytesCountWhileTheyMove(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{}, fate{})
		app, service, _ := joined(t, n, c)
		app.Write(bytesOf(1000, 1))
		service.Write(bytesOf(2000, 2))
		time.Sleep(time.Second)
		before, _ := n.near.MovedOf(wire.Chat)
		if up, down := n.far.MovedOf(wire.Chat); down != 1000 || up != 2000 || before != 1000 {
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
		_, service, near := joined(t, n, c)
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
