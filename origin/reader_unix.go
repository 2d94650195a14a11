//go:build unix

package origin

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"culvert/internal/relay"
)

// reader reads src a buffer at a time. Where src is a plain TCP connection it
// takes one only when there is something to read: most carriers idle.
func reader(src net.Conn) func() (*passBuffer, int, error) {
	if c, ok := src.(*relay.Cork); ok {
		src = c.Conn
	}
	tcp, ok := src.(*net.TCPConn)
	if !ok {
		return plainReader(src)
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return plainReader(src)
	}
	return func() (*passBuffer, int, error) { return readReady(rc) }
}

func readReady(rc syscall.RawConn) (b *passBuffer, n int, err error) {
	waited := rc.Read(func(fd uintptr) bool {
		b = passBuffers.Get().(*passBuffer)
		for n, err = unix.Read(int(fd), b[:]); err == unix.EINTR; {
			n, err = unix.Read(int(fd), b[:])
		}
		if err != unix.EAGAIN {
			return true
		}
		passBuffers.Put(b)
		b = nil
		return false
	})
	switch {
	case waited != nil:
		return b, 0, waited
	case err == nil && n == 0:
		return b, 0, io.EOF
	}
	return b, max(n, 0), err
}
