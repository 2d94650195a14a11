//go:build !linux

package passthrough

import "net"

// tune has nothing to do here.
func tune(net.Conn) {}
