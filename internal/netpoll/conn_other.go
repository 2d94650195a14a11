//go:build !unix

package netpoll

import (
	"net"
	"syscall"
)

// Conn needs descriptors that do not block: on this system NewConn makes none,
// and connections are read and written by package net alone.
type Conn struct {
	ReadWaiter
	Peek bool
}

// NewConn returns nil on this system.
func NewConn(net.Conn, func() []byte, func([]byte)) *Conn { return nil }

// Read is not called on this system, as there is no Conn.
func (*Conn) Read(head, room int) ([]byte, int, error) { panic("netpoll: no Conn on this system") }

// TryWrite is not called on this system, as there is no Conn.
func (*Conn) TryWrite([]byte) (int, error) { panic("netpoll: no Conn on this system") }

// TryRead reads nothing on this system.
func TryRead(net.Conn, []byte) int { return 0 }

// readable lets nobody park on this system: reading waits.
func readable(uintptr) bool { return true }

// ShareAddress does nothing on this system.
func ShareAddress(string, string, syscall.RawConn) error { return nil }
