package client

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
)

// freezable is a memory socket by which nothing goes, and whose edge does not answer, once it is frozen.
type freezable struct {
	*memorySocket
	frozen atomic.Bool
}

func (s *freezable) WriteMessage(b []byte) error {
	if s.frozen.Load() {
		return nil
	}
	return s.memorySocket.WriteMessage(b)
}

func (s *freezable) Probe() error {
	if !s.frozen.Load() {
		return nil
	}
	<-s.pair.closed
	return net.ErrClosed
}

// However many carriers of the gateway door are in doubt, and kept as they may answer yet, a network sees no more at once
// than it should: the oldest of them makes room for what chat needs, and bulk counts what chat is about to have.
func TestACarrierInDoubtMakesRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, 0)
		c, err := New(Config{Link: linkTo(link.Front{Gateway: true})})
		if err != nil {
			t.Fatal(err)
		}
		h := c.pool.current()
		var sockets []*freezable
		most := 0
		c.reach = func(context.Context, wanted) (*socket, int, error) {
			most = max(most, c.messagesOpen(h))
			s := p.socket(true)
			f := &freezable{memorySocket: s.Transport.(*memorySocket)}
			s.Transport, sockets = f, append(sockets, f)
			return s, 0, nil
		}
		var all []*activeCarrier
		dial := func() {
			t.Helper()
			l, err := c.dial(t.Context(), h, anyFront)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, l)
			time.Sleep(time.Second)
		}
		for range mostSeen {
			dial()
		}
		if most != mostSeen {
			t.Errorf("got %d carriers counted while the last is dialled, want %d", most, mostSeen)
		}
		for i, l := range all {
			sockets[i].frozen.Store(i == 2 || i == 3)
			l.Ping()
		}
		time.Sleep(4 * time.Second)
		for i, l := range all {
			if l.Dead() || l.Doubted() != (i == 2 || i == 3) {
				t.Fatalf("carrier %d: dead %v, doubted %v", i, l.Dead(), l.Doubted())
			}
		}
		dial()
		if most > mostSeen {
			t.Errorf("got %d carriers at once, want %d at most", most, mostSeen)
		}
		for i, l := range all {
			if l.Dead() != (i == 2) {
				t.Errorf("carrier %d: got dead %v, want the oldest in doubt ended", i, l.Dead())
			}
		}
		c.stop()
		c.table.Carriers.Close()
		c.tasks.Wait()
	})
}
