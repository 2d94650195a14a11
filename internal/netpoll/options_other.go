//go:build !linux

package netpoll

import "net"

// Tune has nothing to do on this system.
func Tune(net.Conn) {}

// Gone is not known on this system and false.
func (*ReadWaiter) Gone() bool { return false }
