//go:build unix

package netpoll

import (
	"cmp"
	"io"
	"net"
	"sync"
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

	get func() []byte // borrows a buffer
	put func([]byte)  // gives it back
}

// reading is a Read under way. It is borrowed: an idle connection has none.
type reading struct {
	try        func(fd uintptr) bool // made once: a closure a read would be garbage a read
	conn       *Conn
	head, room int
	peek       bool
	buf        []byte
	n          int
	err        error
}

// writing is a TryWrite under way, which is borrowed, too.
type writing struct {
	try func(fd uintptr) bool
	b   []byte
	n   int
	err error
}

var readings = sync.Pool{New: func() any {
	r := &reading{}
	r.try = r.tryRead
	return r
}}

var writings = sync.Pool{New: func() any {
	w := &writing{}
	w.try = w.tryWrite
	return w
}}

// NewConn returns nil if c is not a plain TCP connection. Read borrows buffers by
// get; put gives one back that it needed in vain.
func NewConn(c net.Conn, get func() []byte, put func([]byte)) *Conn {
	rc := rawConn(c)
	if rc == nil {
		return nil
	}
	return &Conn{ReadWaiter: ReadWaiter{rc: rc}, get: get, put: put}
}

// Read waits until there are bytes and only then borrows a buffer, of which it
// leaves the first head bytes free and fills room bytes at most. The caller gives
// the buffer back; there is none beside an error. An EOF is io.EOF, a deadline
// that has passed os.ErrDeadlineExceeded.
func (c *Conn) Read(head, room int) (buf []byte, n int, err error) {
	r := readings.Get().(*reading)
	r.conn, r.head, r.room, r.peek = c, head, room, c.Peek
	c.Peek = false
	err = c.rc.Read(r.try)
	if err = cmp.Or(err, r.err); err == nil && r.n == 0 {
		err = io.EOF
	}
	buf, n = r.buf, r.n
	*r = reading{try: r.try}
	readings.Put(r)
	if err != nil && buf != nil {
		c.put(buf)
		buf = nil
	}
	return buf, n, err
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

func (r *reading) tryRead(fd uintptr) bool {
	if r.peek {
		r.peek = false
		if !readable(fd) {
			return false
		}
	}
	r.buf = r.conn.get()
	r.n, r.err = read(fd, r.buf[r.head:r.head+r.room])
	if r.err == syscall.EAGAIN {
		r.conn.put(r.buf)
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
func (c *Conn) TryWrite(b []byte) (n int, err error) {
	w := writings.Get().(*writing)
	w.b = b
	err = c.rc.Write(w.try)
	n, err = w.n, cmp.Or(err, w.err)
	*w = writing{try: w.try}
	writings.Put(w)
	return n, err
}

func (w *writing) tryWrite(fd uintptr) bool {
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
