// Package netpoll is what we need of TCP connections beyond package net: idle
// ones that hold neither a goroutine nor a buffer, reads and writes that do not
// block, and TCP's options. Of the product's packages it and secret alone have build tags; on
// systems that lack something its functions say so, and callers use package net
// alone.
package netpoll

import (
	"errors"
	"net"
	"syscall"
)

// ReadWaiter waits for a TCP connection to become readable. Its methods are for
// the connection's one reader, but for Cancel.
type ReadWaiter struct {
	rc     syscall.RawConn
	poller *Poller // nil: Use was not called
	at     registration
}

// NewReadWaiter returns nil if c is not a plain TCP connection: TLS has read
// bytes of its own, which polling does not see.
func NewReadWaiter(c net.Conn) *ReadWaiter {
	rc := rawConn(c)
	if rc == nil {
		return nil
	}
	return &ReadWaiter{rc: rc}
}

// Beneath is the connection on which c runs, which may be TLS: the last in a row of them.
func Beneath(c net.Conn) net.Conn {
	for {
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = above.NetConn()
	}
}

// CloseWrite half-closes c, so that its peer knows that no more comes. The error is errors.ErrUnsupported where c cannot do that.
func CloseWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

func rawConn(c net.Conn) syscall.RawConn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	rc, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return rc
}

// Use has Park wait in p. It is called before Park, once.
func (w *ReadWaiter) Use(p *Poller) { w.poller = p }

// Park has resume called, in a goroutine of its own, when there is something to
// read or Cancel was called. It returns false, and calls nothing, if there is
// something to read now or if the Poller cannot take the connection.
func (w *ReadWaiter) Park(resume func()) bool { return !w.Ready() && w.Rest(resume) }

// Rest is Park for whoever expects nothing to read: it saves the look whether there is. What is there resumes at once.
func (w *ReadWaiter) Rest(resume func()) bool { return w.poller.register(w.rc, &w.at, resume) == nil }

// Cancel is to be called when the connection has been closed: it resumes
// whoever is parked. Any goroutine may call it.
func (w *ReadWaiter) Cancel() {
	if w.poller != nil {
		w.poller.cancel(&w.at)
	}
}

// Ready reports whether a read would return at once.
func (w *ReadWaiter) Ready() (is bool) {
	w.rc.Control(func(fd uintptr) { is = readable(fd) })
	return is
}

// Wait blocks until the connection is readable. It needs little stack, which is
// most of what an idle connection costs where no Poller takes it.
func (w *ReadWaiter) Wait() error { return w.rc.Read(readable) }
