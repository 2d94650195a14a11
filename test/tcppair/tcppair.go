// Package tcppair is for tests that want both ends of a TCP connection.
package tcppair

import (
	"net"
	"testing"
)

// Open is the two ends of a connection of this machine, which are closed with the test: who has dialled, and who has accepted.
func Open(t testing.TB) (dialled, accepted *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	return far.(*net.TCPConn), near.(*net.TCPConn)
}
