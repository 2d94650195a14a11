//go:build !unix

package listener

import "net"

// readNow reads nothing where descriptors cannot be read without waiting.
func readNow(net.Conn, []byte) int { return 0 }
