//go:build !unix

package relay

import (
	"net"
	"syscall"
)

// raw is for systems with non-blocking descriptors; elsewhere streams are read
// and written in the ordinary way.
type raw struct{}

func newRaw(net.Conn) *raw { return nil }

func (*raw) Read(head, room int, wait bool) ([]byte, int, error) { panic("no raw streams here") }

func (*raw) TryWrite([]byte) (int, error) { panic("no raw streams here") }

func waitReadable(syscall.RawConn) func() error { return nil }
