//go:build !unix

package origin

import "net"

func reader(src net.Conn) func() (*passBuffer, int, error) { return plainReader(src) }
