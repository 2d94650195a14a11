//go:build !linux

package netpoll

import (
	"errors"
	"net"
	"syscall"
)

// Poller needs Linux's epoll: on other systems it takes nobody, and every idle
// connection waits in a goroutine of its own.
type Poller struct{ Go func(f func()) bool }

type registration struct{}

func (*Poller) register(syscall.RawConn, *registration, func()) error { return errors.ErrUnsupported }

func (*Poller) cancel(*registration) {}

// Close has nothing to do on this system.
func (*Poller) Close() {}

// Tune has nothing to do on this system.
func Tune(net.Conn) {}

// HungUp is not known on this system and false.
func HungUp(net.Conn) bool { return false }

// Unread is not known on this system and false.
func Unread(net.Conn) bool { return false }

// Gone is not known on this system and false.
func (*ReadWaiter) Gone() bool { return false }

// Pending is not known on this system and 0.
func (*ReadWaiter) Pending() int { return 0 }
