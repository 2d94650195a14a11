//go:build unix

package netpoll

import (
	"cmp"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Conn reads and writes a TCP connection without blocking, so that an idle
// connection holds no buffer and a writer can stop where the socket's buffer is
// full. Its methods are for one reader and one writer at a time. The
// connection's deadlines apply to it.
type Conn struct {
	ReadWaiter
	// Peek has the next Read look whether there is something to read before it
	// takes a buffer: it is worth a system call if the wait will be long. Park has
	// looked. It is the reader's.
	Peek bool

	get    func() []byte         // borrows a buffer
	put    func([]byte)          // gives it back
	tryIn  func(fd uintptr) bool // made once: a closure a read would be garbage a read
	tryOut func(fd uintptr) bool
	in     reading
	out    writing
}

// reading is a Read under way.
type reading struct {
	head, room int
	peek       bool
	buf        []byte
	n          int
	err        error
}

// writing is a TryWrite under way.
type writing struct {
	b   []byte
	n   int
	err error
}

// NewConn returns nil if c is not a plain TCP connection. Read borrows buffers by
// get; put gives one back that it needed in vain.
func NewConn(c net.Conn, get func() []byte, put func([]byte)) *Conn {
	rc := rawConn(c)
	if rc == nil {
		return nil
	}
	n := &Conn{ReadWaiter: ReadWaiter{rc: rc}, get: get, put: put}
	n.tryIn, n.tryOut = n.tryRead, n.tryWrite
	return n
}

// Read waits until there are bytes and only then borrows a buffer, of which it
// leaves the first head bytes free and fills room bytes at most. The caller gives
// the buffer back; there is none beside an error. An EOF is io.EOF, a deadline
// that has passed os.ErrDeadlineExceeded.
func (c *Conn) Read(head, room int) (buf []byte, n int, err error) {
	c.in = reading{head: head, room: room, peek: c.Peek}
	c.Peek = false
	err = c.rc.Read(c.tryIn)
	r := c.in
	c.in = reading{}
	if err = cmp.Or(err, r.err); err == nil && r.n == 0 {
		err = io.EOF
	}
	if err != nil && r.buf != nil {
		c.put(r.buf)
		r.buf = nil
	}
	return r.buf, r.n, err
}

// Park is ReadWaiter's, and keeps what it has found out: the next Read need not look where there is something to read, nor
// when resume is called.
func (c *Conn) Park(resume func()) bool {
	c.Peek = false // before resume reads
	if c.Ready() {
		return false
	}
	parks := c.Rest(resume)
	if !parks {
		c.Peek = true
	}
	return parks
}

func (c *Conn) tryRead(fd uintptr) bool {
	r := &c.in
	if r.peek {
		r.peek = false
		if !readable(fd) {
			return false
		}
	}
	r.buf = c.get()
	r.n, r.err = read(fd, r.buf[r.head:r.head+r.room])
	if r.err == syscall.EAGAIN {
		c.put(r.buf)
		r.buf, r.err = nil, nil
		return false
	}
	return true
}

// read is one read of a descriptor that does not block.
func read(fd uintptr, b []byte) (n int, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// TryRead reads into b what c holds already, if c is a plain TCP connection. It
// returns 0 if that is nothing, or if c has ended or failed, which the next
// ordinary read will tell.
func TryRead(c net.Conn, b []byte) (n int) {
	if rc := rawConn(c); rc != nil {
		rc.Read(func(fd uintptr) bool {
			n, _ = read(fd, b)
			return true
		})
	}
	return n
}

// readable reports whether a read would return at once: with bytes, an EOF or
// an error. Peeking by a read would take the error away, and the next read then
// see an EOF.
func readable(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != syscall.EINTR {
			return n != 0
		}
	}
}

// TryWrite writes what fits into the socket's buffer and returns how much that
// was.
func (c *Conn) TryWrite(b []byte) (int, error) {
	c.out = writing{b: b}
	err := c.rc.Write(c.tryOut)
	w := c.out
	c.out = writing{}
	return w.n, cmp.Or(err, w.err)
}

func (c *Conn) tryWrite(fd uintptr) bool {
	w := &c.out
	for {
		n, err := syscall.Write(int(fd), w.b)
		switch err {
		case syscall.EINTR:
			continue
		case nil:
			w.n = n // less than all: the socket's buffer is full now
		case syscall.EAGAIN:
		default:
			w.err = err
		}
		return true
	}
}

// ShareAddress is a net.ListenConfig's Control that lets several processes
// listen at one address (SO_REUSEPORT).
func ShareAddress(_, _ string, c syscall.RawConn) error {
	var refused error
	err := c.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	return cmp.Or(err, refused)
}
