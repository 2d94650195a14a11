package tunnel

import (
	"io"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/test/tcppair"
)

// lingering is a memory stream that tells how it would be closed.
type lingering struct {
	*memStream
	seconds chan int
}

func (l *lingering) SetLinger(seconds int) error {
	l.seconds <- seconds
	if seconds == 0 {
		return nil
	}
	return l.memStream.SetLinger(seconds)
}

// A process that is killed closes nothing itself: the system does, as it was told before.
func TestAStreamIsResetByWhoeverClosesItUntilItsEndIsInOrder(t *testing.T) {
	t.Parallel()
	doors(t, func(t *testing.T, n *Net) {
		c, _ := n.first()
		app, mine := streamPair(n.room)
		stream := &lingering{mine, make(chan int, 4)}
		near, _ := n.near.StartTunnel(wire.Service{Kind: wire.Chat}, nil, stream)
		if got := <-stream.seconds; got != 0 {
			t.Errorf("got a linger of %d s from the start, want 0", got)
		}
		near.Attach(c, false)
		app.Write([]byte("all"))
		app.CloseWrite()
		service := <-n.service(near.number())
		if got, err := io.ReadAll(service); string(got) != "all" || err != nil {
			t.Errorf("got %q and %v, want all and an EOF", got, err)
		}
		if len(stream.seconds) > 0 {
			t.Errorf("got a linger of %d s before the end, want none", <-stream.seconds)
		}
		service.CloseWrite()
		time.Sleep(10 * time.Second)
		if got := <-stream.seconds; got >= 0 {
			t.Errorf("got a linger of %d s at the end, want the system's own", got)
		}
	})
}

// What the system has not sent when both directions have ended still comes.
func TestACloseInOrderLosesNothing(t *testing.T) {
	t.Parallel()
	app, mine := tcppair.Open(t)
	resetAtClose(mine)
	mine.SetWriteBuffer(4 << 20)
	app.CloseWrite()
	io.ReadAll(mine)
	mine.SetWriteDeadline(time.Now().Add(time.Second))
	sent, _ := mine.Write(make([]byte, 16<<20)) // as much as fits, as nobody reads before the close
	mine.CloseWrite()
	closeInOrder(mine)
	if got, err := io.Copy(io.Discard, app); got != int64(sent) || err != nil || sent <= 64<<10 {
		t.Errorf("got %d bytes and %v, want the %d sent and an EOF", got, err, sent)
	}
}
