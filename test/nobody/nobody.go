// Package nobody is for tests of what happens where nobody listens.
package nobody

import (
	"net"
	"net/netip"
	"testing"
)

// Addr is an address on loopback that refuses connections until the test ends. The
// port of a listener that was closed would do so only until the system gives it to
// another listener, as that of a parallel test: a connection holds this one.
func Addr(t testing.TB) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	// Without an address of its own the dialler's port would not be bound, and a
	// connection to it could come to be one to itself.
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	c, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.TCPAddr).AddrPort()
}
