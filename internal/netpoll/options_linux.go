package netpoll

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is the TCP_NOTSENT_LOWAT of connections that carry frames. It keeps
// what is not yet sent where it can still be reordered, in the carriers' queues
// and not in the kernel's megabytes; an edge hands pressure back early by it.
// 16 KiB cost no throughput and cut chat's p99 beside bulk to a fifth on a slow
// link.
const notSent = 16 << 10

// Tune prepares the TCP connection of a carrier, which may be beneath TLS. A
// connection that cannot be tuned works as well.
func Tune(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		c = t.NetConn()
	}
	sc, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if rc, err := sc.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent)
		})
	}
}

// tcpClose is TCP_CLOSE of the kernel's tcp_states.h.
const tcpClose = 7

// Gone reports whether the connection is over in both directions. Before we
// have half-closed it that means a reset, although a read may say EOF: the
// error of a reset is told once, and a write may have been told.
func (w *ReadWaiter) Gone() (is bool) {
	w.rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		is = err == nil && info.State == tcpClose
	})
	return is
}
