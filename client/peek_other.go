//go:build !unix

package client

import "net"

// readNow reads nothing where descriptors cannot be read without waiting.
func readNow(net.Conn, []byte) int { return 0 }
