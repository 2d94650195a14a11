//go:build !unix

package relay

import (
	"net"
	"syscall"
)

// raw is for systems with non-blocking descriptors; elsewhere streams are read
// and written in the ordinary way.
type raw struct{ fresh bool }

func newRaw(net.Conn) *raw { return nil }

func (*raw) Read(head, room int) ([]byte, int, error) { panic("no raw streams here") }

func (*raw) TryWrite([]byte) (int, error) { panic("no raw streams here") }

// parking is never used: ready says that there is no need to wait.
type parking struct{ rc syscall.RawConn }

func (parking) ready() bool { return true }

func (parking) wait() error { return nil }
