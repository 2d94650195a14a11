//go:build unix

package relay

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// raw reads and writes a TCP connection without blocking, so that an idle
// stream holds no buffer and a carrier's reader never waits for the app. Its
// methods are for one reader and one writer.
type raw struct {
	parking
	read  func(fd uintptr) bool // made once: a closure a read would be garbage a read
	write func(fd uintptr) bool
	fresh bool // the reader waits on a new stack: look before taking a buffer
	in    readTurn
	out   writeTurn
}

type readTurn struct {
	head, room int
	peek       bool
	buf        []byte
	n          int
	err        error
}

type writeTurn struct {
	b   []byte
	n   int
	err error
}

// newRaw returns nil if c is not a plain TCP connection.
func newRaw(c net.Conn) *raw {
	tc, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &raw{parking: parking{rc: rc}, fresh: true}
	r.read, r.write = r.tryRead, r.tryWrite
	return r
}

// Read waits until bytes are there and only then takes a full buffer, of which
// it leaves head bytes free. An EOF is io.EOF, a deadline os.ErrDeadlineExceeded.
func (r *raw) Read(head, room int) (buf []byte, n int, err error) {
	r.in = readTurn{head: head, room: room, peek: r.fresh}
	r.fresh = false
	err = r.rc.Read(r.read)
	t := r.in
	r.in = readTurn{}
	if err == nil {
		err = t.err
	}
	if err == nil && t.n == 0 {
		err = io.EOF
	}
	if err != nil && t.buf != nil {
		put(t.buf)
		t.buf = nil
	}
	return t.buf, t.n, err
}

func (r *raw) tryRead(fd uintptr) bool {
	t := &r.in
	if t.peek {
		t.peek = false
		if !readable(fd) {
			return false
		}
	}
	t.buf = getFull()
	for {
		t.n, t.err = syscall.Read(int(fd), t.buf[t.head:t.head+t.room])
		if t.err != syscall.EINTR {
			break
		}
	}
	if t.err == syscall.EAGAIN {
		put(t.buf)
		t.buf, t.n, t.err = nil, 0, nil
		return false
	}
	t.n = max(t.n, 0)
	return true
}

// readable reports whether a read would return at once: with bytes, an EOF or
// an error. Peeking would take the error away, and the read then see an EOF.
func readable(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != syscall.EINTR {
			return n != 0
		}
	}
}

// TryWrite writes what fits into the socket's buffer and returns.
func (r *raw) TryWrite(b []byte) (int, error) {
	r.out = writeTurn{b: b}
	err := r.rc.Write(r.write)
	t := r.out
	r.out = writeTurn{}
	if err == nil {
		err = t.err
	}
	return t.n, err
}

func (r *raw) tryWrite(fd uintptr) bool {
	t := &r.out
	for {
		n, err := syscall.Write(int(fd), t.b)
		switch err {
		case syscall.EINTR:
			continue
		case nil:
			t.n = n // less than all: the socket's buffer is full now
		case syscall.EAGAIN:
		default:
			t.err = err
		}
		return true
	}
}
