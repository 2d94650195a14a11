package passthrough

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"culvert/test/leak"
	"culvert/test/tcppair"
)

// After Drain no goroutine of an edge is left, though sockets were in the middle of
// a write that nobody takes, and though connections to the origin were kept.
func TestNothingIsLeftOfAnEdgeThatHasDrained(t *testing.T) {
	before := leak.Running()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			r := newRig(t, secure, rawDoor("", func(c net.Conn, _ *bufio.Reader) {
				io.Copy(c, endless{}) // the user takes nothing
				close(ended)
			}), Options{})
			c, _ := r.open(t)
			go io.Copy(c, endless{}) // nor does the origin
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := r.proxy.Drain(gone); err != context.Canceled {
				t.Errorf("got %v, want the socket cut", err)
			}
			if left := leak.Since(before).With("culvert/edge/passthrough.(*end).run"); len(left) > 0 {
				t.Errorf("got %d goroutines that still copy, want none:\n\n%v", len(left), left)
			}
			<-ended
		})
	}
	before.Check(t)
}

// A socket whose origin has half-closed ends with the edge, though its user says
// nothing and keeps it open.
func TestASocketThatItsOriginHasHalfClosedIsCut(t *testing.T) {
	both(t, func(t *testing.T, secure bool) {
		ended := make(chan struct{})
		r := newRig(t, secure, rawDoor("", func(c net.Conn, _ *bufio.Reader) {
			c.(interface{ CloseWrite() error }).CloseWrite()
			<-ended
		}), Options{})
		_, in := r.open(t)
		io.Copy(io.Discard, in)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		done := make(chan error, 1)
		go func() { done <- r.proxy.Drain(gone) }()
		select {
		case err := <-done:
			if err != context.Canceled {
				t.Errorf("got %v, want the socket cut", err)
			}
		case <-time.After(patience):
			t.Error("the edge waits for its user")
		}
		close(ended)
	})
}

// A socket that rests has no goroutine, also over TLS, and passes on what comes then: little, much, and its end.
func TestARestingSocketHasNoGoroutine(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			before := leak.Running()
			r := newRig(t, secure, rawDoor("x", func(c net.Conn, in *bufio.Reader) {
				io.Copy(c, in)
				c.(interface{ CloseWrite() error }).CloseWrite()
			}), Options{})
			r.proxy.restless = time.Millisecond
			c, in := r.open(t)
			in.ReadByte()
			for _, size := range []int{1, smallRead, 20_000, 300_000} {
				waitFor(t, func() bool { return rests(before) })
				sent := bytes.Repeat([]byte("rest"), size)
				go c.Write(sent)
				got := make([]byte, len(sent))
				if _, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, sent) {
					t.Fatalf("%d bytes: got %v or other bytes, want what was sent", len(sent), err)
				}
			}
			waitFor(t, func() bool { return rests(before) })
			c.(interface{ CloseWrite() error }).CloseWrite()
			if n, err := io.Copy(io.Discard, in); n != 0 || err != nil {
				t.Errorf("got %d bytes and %v, want the end", n, err)
			}
			waitFor(t, func() bool { return r.proxy.sockets.count() == 0 })
		})
	}
}

// rests reports that no goroutine is left of the ends that came after before.
func rests(before leak.Goroutines) bool {
	return len(leak.Since(before).With("culvert/edge/passthrough.(*end)")) == 0
}

// What comes after a rest is likely to be all: a goroutine that waited for more would have to be woken to rest again.
func TestASocketRestsAgainOnceAKeepAliveIsPassedOn(t *testing.T) {
	before := leak.Running()
	p := newProxy(t, "http://127.0.0.1", Options{})
	p.restless = time.Millisecond
	user, near := pair(t)
	far, origin := pair(t)
	watched := &waits{Conn: near}
	p.newSocket(watched, nil, far, nil, 7).start()
	for round := range 10 {
		waited, parked := watched.n.Load(), time.Now()
		waitFor(t, func() bool { return time.Since(parked) >= p.restless })
		user.Write([]byte("x"))
		if _, err := origin.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return rests(before) })
		if n := watched.n.Load() - waited; n != 0 && round > 0 { // before the first it may not have begun
			t.Errorf("waited %d times for more, want none", n)
		}
	}
}

// waits counts how often a read was to wait for a while. As TLS does, it hides a TCP connection.
type waits struct {
	net.Conn
	n atomic.Int32
}

func (w *waits) NetConn() net.Conn { return w.Conn }

func (w *waits) SetReadDeadline(at time.Time) error {
	if time.Until(at) > 0 {
		w.n.Add(1)
	}
	return w.Conn.SetReadDeadline(at)
}

// pair is both ends of a TCP connection, with a deadline.
func pair(t *testing.T) (one, other net.Conn) {
	t.Helper()
	one, other = tcppair.Open(t)
	for _, c := range []net.Conn{one, other} {
		c.SetDeadline(time.Now().Add(patience))
	}
	return one, other
}

// endless never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
