package tunnel

import (
	"net"
	"syscall"
	"testing"
	"time"

	"culvert/internal/wire"
)

// The system is asked whether an app is there that has said all, and when it says no the tunnel ends.
func TestWhatNobodyWaitsForIsNotHeld(t *testing.T) {
	t.Parallel()
	n := newNet(t)
	defer n.stop()
	app, mine := tcpPair(t)
	near, _ := n.near.StartTunnel(wire.Service{Kind: wire.Chat}, []byte("WA\x06\x03"), mine)
	app.CloseWrite()
	near.awaitSaid(t)
	later := time.Now().Add(forsakenAfter + time.Second)
	if near.sweep(later); near.IsOver() {
		t.Fatal("got a tunnel ended whose app waits for an answer")
	}
	if !isAsked(t, mine) {
		t.Error("got an app not asked whether it is there")
	}
	app.SetLinger(0) // as a system does that has forgotten the connection, when it is asked
	app.Close()
	for deadline := time.Now().Add(10 * time.Second); !near.IsOver() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		near.sweep(later)
	}
	n.wantTunnels(t, 0, 0)
}

// awaitSaid returns once the end of the app's stream was read.
func (t *Tunnel) awaitSaid(tb testing.TB) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		t.mu.Lock()
		said := t.send.state != sendOpen
		t.mu.Unlock()
		if said {
			return
		}
	}
	tb.Fatal("the end of a stream is not read")
}

// tcpPair is a TCP connection of this machine.
func tcpPair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if a, err = net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	if b, err = ln.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// isAsked reports whether the system probes a connection that rests.
func isAsked(t *testing.T, c *net.TCPConn) (is bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		n, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_KEEPALIVE)
		is = err == nil && n != 0
	})
	return is
}
