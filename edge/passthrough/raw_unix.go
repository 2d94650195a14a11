//go:build unix

package passthrough

import (
	"io"
	"net"
	"syscall"
)

// raw waits for a plain TCP connection to have bytes and only then borrows a
// buffer. It is for one reader.
type raw struct {
	conn syscall.RawConn
	try  func(fd uintptr) bool // made once: a closure a read would be garbage a read
	full *[fullRead]byte
	n    int
	err  error
}

func newRaw(c net.Conn) *raw {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	conn, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	r := &raw{conn: conn}
	r.try = r.tryRead
	return r
}

// read returns a borrowed buffer and how much of it is filled, or an error.
func (r *raw) read() (*[fullRead]byte, int, error) {
	err := r.conn.Read(r.try)
	full, n := r.full, r.n
	r.full = nil
	if err == nil {
		err = r.err
	}
	if full != nil && (n == 0 || err != nil) {
		putFull(full)
		full = nil
		if err == nil {
			err = io.EOF
		}
	}
	return full, n, err
}

func (r *raw) tryRead(fd uintptr) bool {
	b := full.Get().(*[fullRead]byte)
	r.n, r.err = syscall.Read(int(fd), b[:])
	for r.err == syscall.EINTR {
		r.n, r.err = syscall.Read(int(fd), b[:])
	}
	if r.err == syscall.EAGAIN {
		putFull(b)
		return false
	}
	r.full = b
	return true
}
