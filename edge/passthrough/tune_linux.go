package passthrough

import (
	"crypto/tls"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent keeps bulk from queueing in the edge's kernel, where chat could not
// pass it: the origin and the client order their frames, and the edge's part
// is to hand back pressure early. 16 KiB cost no throughput.
const notSent = 16 << 10

// tune does what it can; a connection that cannot be tuned works as well.
func tune(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := sc.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
		})
	}
}
