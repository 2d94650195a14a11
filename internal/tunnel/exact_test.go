package tunnel

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"culvert/internal/session"
	"culvert/internal/wire"
)

// talk sends up and down at once through one tunnel, in pieces of up to piece
// bytes, half-closes both ways and checks what arrives.
func talk(t *testing.T, app io.ReadWriter, service func() *memStream, up, want, down []byte, piece int) {
	t.Helper()
	var all sync.WaitGroup
	one := func(who string, s io.ReadWriter, send, want []byte) {
		all.Go(func() {
			for rest := send; len(rest) > 0; {
				n := min(1+rand.IntN(piece), len(rest))
				if _, err := s.Write(rest[:n]); err != nil {
					t.Errorf("%s: write: %v", who, err)
					return
				}
				rest = rest[n:]
			}
			s.(*memStream).CloseWrite()
		})
		all.Go(func() {
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: got %d bytes (the same: %v) and %v, want %d and an EOF", who, len(got), bytes.Equal(got, want), err, len(want))
			}
		})
	}
	one("app", app, up, down)
	all.Go(func() { s := service(); one("service", s, down, want) })
	all.Wait()
}

func TestEveryByteArrivesOnceAndInOrderWhileCarriersDie(t *testing.T) {
	t.Parallel()
	for _, early := range []int{0, 1, 500, 16 << 10} {
		for _, hurtful := range []bool{false, true} {
			for name, door := range map[string]session.Door{"stream": session.Stream, "gateway": session.Gateway} {
				t.Run(fmt.Sprintf("%s door, early %d, hurtful %v", name, early, hurtful), func(t *testing.T) {
					t.Parallel()
					bubble(t, func(t *testing.T, n *Net) {
						n.door = door
						comesExactly(t, n, early, hurtful)
					})
				})
			}
		}
	}
}

func comesExactly(t *testing.T, n *Net, early int, hurtful bool) {
	n.dialAfter = 7 * time.Millisecond
	r := rand.New(rand.NewPCG(uint64(early), 2))
	var mu sync.Mutex
	n.keep = func() (fate, fate) {
		mu.Lock()
		defer mu.Unlock()
		f := fate{delay: time.Duration(r.IntN(3)) * time.Millisecond, hurtful: hurtful, heard: 4, shuffle: n.gateway(), twice: n.gateway()}
		a, b := f, f
		a.dieAt, b.dieAt = 5+r.IntN(12), 5+r.IntN(12)
		return a, b
	}
	total := 4 << 20 // a carrier of the stream door begins slowly
	if n.gateway() {
		total = 12 << 20
	}
	up, down := bytesOf(early+total, 1), bytesOf(total, 2)
	app, _ := n.dial(nil, up[:early])
	n.replace()
	service := func() *memStream { return <-n.service(1) }
	talkFrom(t, app, service, up, early, down)
	time.Sleep(wire.HoldTunnel + time.Minute)
	n.wantTunnels(t, 0, 0)
	many := 30
	if n.gateway() {
		many = 10 // messages are large
	}
	if got := n.carriersMade(); got < many {
		t.Errorf("got %d carriers, want at least %d", got, many)
	}
}

// talkFrom is talk where the first early bytes of up are on their way already.
func talkFrom(t *testing.T, app *memStream, service func() *memStream, up []byte, early int, down []byte) {
	t.Helper()
	talk(t, app, func() *memStream { return service() }, up[early:], up, down, 20<<10)
}
