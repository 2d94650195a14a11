package seal

import (
	"bytes"
	"sync"
	"testing"

	"culvert/internal/wire"
)

func TestManyHandshakesAtOnceAreEachOthersBusiness(t *testing.T) {
	t.Parallel()
	e := newEnds()
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			user, id := uint32(7+n%2), wire.TunnelID(n+1)
			client := e.client
			if user != 7 {
				client = NewClient(e.master.Client(user), atNoon)
			}
			open, pending, err := client.Open(id, chat, []byte{byte(n)})
			if err != nil {
				t.Error(err)
				return
			}
			client.SetOffset(0)
			opened, err := e.server.Accept(id, user, open)
			if err != nil || !bytes.Equal(opened.Early, []byte{byte(n)}) {
				t.Errorf("got %x and %v, want %x", opened.Early, err, n)
				return
			}
			near, err := pending.Finish(opened.Accept)
			if err != nil {
				t.Error(err)
				return
			}
			speak(t, near, opened.Keys)
		})
	}
	wg.Wait()
}

func TestOfManyCopiesOfAnOpenOneIsAccepted(t *testing.T) {
	t.Parallel()
	e := newEnds()
	open, _ := e.open(t)
	results := make(chan error, 16)
	for range cap(results) {
		go func() {
			_, err := e.server.Accept(tunnel, 7, open)
			results <- err
		}()
	}
	accepted := 0
	for range cap(results) {
		switch err := <-results; err {
		case nil:
			accepted++
		case ErrReplay:
		default:
			t.Errorf("got %v, want none or %v", err, ErrReplay)
		}
	}
	if accepted != 1 {
		t.Errorf("got %d accepted, want 1", accepted)
	}
}
