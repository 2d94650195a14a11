package relay

import "golang.org/x/sys/unix"

// tcpClose is TCP_CLOSE of the kernel's tcp_states.h.
const tcpClose = 7

// gone reports whether the connection is over in both directions. Before we
// have half-closed it that means a reset, although a read may say EOF: the
// error of a reset is told once, and a write may have been told.
func (r *raw) gone() (is bool) {
	r.rc.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		is = err == nil && info.State == tcpClose
	})
	return is
}
