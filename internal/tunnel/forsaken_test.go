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
	doors(t, func(t *testing.T, n *Net) {
		app, near := n.waitingTunnel()
		time.Sleep(time.Second)
		app.SetLinger(0)
		app.Close()
		time.Sleep(forsakenAfter)
		c, _ := n.first()
		near.Attach(c, true)
		time.Sleep(2 * sweepEvery)
		if got := n.allBegun(); got != 0 {
			t.Errorf("got %d tunnels at the origin, want none", got)
		}
		n.wantTunnels(t, 0, 0)
	})
}

// An app that has asked and half-closed waits for its answer, however long the first carrier takes; also where one
// that came first brought nothing.
func TestAnAppThatHasSaidAllWaitsForItsAnswer(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(n *Net) (*memStream, *Tunnel){
		"no carrier": (*Net).waitingTunnel,
		"a carrier that brings nothing": func(n *Net) (*memStream, *Tunnel) {
			app, near := n.waitingTunnel()
			c, _ := n.carrier(fate{silent: true}, fate{silent: true})
			near.Attach(c, false)
			time.Sleep(time.Second)
			c.Close()
			return app, near
		},
	} {
		t.Run(name, func(t *testing.T) {
			doors(t, func(t *testing.T, n *Net) {
				app, near := first(n)
				app.CloseWrite()
				time.Sleep(time.Minute)
				c, _ := n.first()
				near.Attach(c, true)
				if time.Sleep(time.Second); near.IsOver() {
					t.Fatal("got a tunnel ended whose app waits for an answer")
				}
				service := <-n.service(near.number())
				wantRead(t, service, "WA\x06\x03hello")
				if rest, err := io.ReadAll(service); len(rest) > 0 || err != nil {
					t.Errorf("got %d bytes more and %v, want an EOF", len(rest), err)
				}
				service.Write([]byte("answer"))
				service.CloseWrite()
				wantRead(t, app, "answer")
				synctest.Wait()
			})
		})
	}
}

// One that nobody answers is given up like any.
func TestAnAppThatHasSaidAllDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		app, _ := n.waitingTunnel()
		app.CloseWrite()
		time.Sleep(wire.HoldTunnel + 2*sweepEvery)
		n.wantTunnels(t, 0, 0)
		if _, err := app.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want %v", err, syscall.ECONNRESET)
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
