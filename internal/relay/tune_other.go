//go:build !linux

package relay

import "net"

// Tune prepares the TCP connection of a carrier; here there is nothing to do.
func Tune(net.Conn) {}
