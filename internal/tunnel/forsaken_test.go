package tunnel

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/wire"
)

// waitingTunnel is a tunnel of an app that has sent something while there was no carrier.
func (n *Net) waitingTunnel() (app *memStream, near *Tunnel) {
	app, mine := streamPair(n.room)
	near, _ = n.near.StartTunnel(wire.Service{Kind: wire.Chat}, []byte("WA\x06\x03"), mine)
	app.Write([]byte("hello"))
	return app, near
}

func (n *Net) allBegun() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.begun)
}

func TestWhatNobodyWaitsForIsNotOpened(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*memStream){
		"closed": func(a *memStream) { a.Close() },
		"reset":  func(a *memStream) { a.SetLinger(0); a.Close() },
		"ended":  func(a *memStream) { a.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			doors(t, func(t *testing.T, n *Net) {
				app, near := n.waitingTunnel()
				time.Sleep(time.Second)
				leave(app)
				time.Sleep(forsakenAfter)
				c, _ := n.first()
				near.Attach(c, true)
				time.Sleep(2 * sweepEvery)
				if got := n.allBegun(); got != 0 {
					t.Errorf("got %d tunnels at the origin, want none", got)
				}
				n.wantTunnels(t, 0, 0)
			})
		})
	}
}

// Also where no carrier ever comes, and by one that brought nothing and died.
func TestWhatNobodyWaitsForIsNotHeld(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		app, _ := n.waitingTunnel()
		app.CloseWrite()
		time.Sleep(forsakenAfter + sweepEvery)
		n.wantTunnels(t, 0, 0)
		if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
		}
	})
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.carrier(fate{silent: true}, fate{silent: true})
		app, near := n.dial(c, []byte("WA"))
		app.CloseWrite()
		time.Sleep(time.Second)
		c.Close()
		time.Sleep(forsakenAfter)
		second, _ := n.first()
		near.Attach(second, true)
		time.Sleep(time.Second)
		if got := n.allBegun(); got != 0 {
			t.Errorf("got %d tunnels at the origin, want none", got)
		}
	})
}

func TestWhoWaitsGetsWhatWasSaidBefore(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		app, near := n.waitingTunnel()
		app.Write(bytesOf(40<<10, 1)) // more than is read without a carrier
		time.Sleep(10 * time.Second)
		var c *carrier.Carrier
		c, _ = n.first()
		near.Attach(c, true)
		time.Sleep(time.Second)
		service := <-n.service(near.number())
		wantRead(t, service, "WA\x06\x03hello"+string(bytesOf(40<<10, 1)))
		app.CloseWrite()
		if rest, err := io.ReadAll(service); len(rest) > 0 || err != nil {
			t.Errorf("got %d bytes more and %v, want an EOF", len(rest), err)
		}
		synctest.Wait()
	})
}
