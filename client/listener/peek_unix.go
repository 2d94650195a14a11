//go:build unix

package listener

import (
	"net"
	"syscall"
)

// readNow reads what a TCP connection holds, without waiting; n is 0 if that
// is nothing, or if the stream has ended or failed, which the next ordinary
// read will tell.
func readNow(conn net.Conn, b []byte) (n int) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	rc.Read(func(fd uintptr) bool {
		n, _ = syscall.Read(int(fd), b)
		return true
	})
	return max(n, 0)
}
