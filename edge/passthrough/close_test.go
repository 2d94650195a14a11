package passthrough

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"
	"time"

	"culvert/test/leak"
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
			if left := leak.Since(before).With("culvert/edge/passthrough.(*end).WriteTo"); len(left) > 0 {
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

// endless never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
