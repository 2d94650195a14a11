package netpoll

import (
	"cmp"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Poller is where idle connections wait to become readable, all by one
// goroutine: a goroutine for each would be the largest part of what an idle
// client costs. Connections wait in it by a ReadWaiter.
type Poller struct {
	// Go runs the Poller's goroutine, and those that are resumed, for whoever owns
	// them; false if it may not any more. It is set before use.
	Go func(f func()) bool

	mu      sync.Mutex // guards the following
	epoll   *os.File   // nil: no connection has waited yet
	closed  bool
	last    uint64            // number of the latest registration
	waiting map[uint64]func() // what resumes a registration
}

// registration is a connection's wait in a Poller; the zero value is none.
type registration struct{ number uint64 } // guarded by the Poller's mu

// register has resume called, in a goroutine of its own, once rc is readable or
// the registration is cancelled. An error means that rc has to be waited for in
// another way.
func (p *Poller) register(rc syscall.RawConn, r *registration, resume func()) error {
	epoll, number, isKnown, err := p.add(r, resume)
	if err != nil {
		return err
	}
	var watched error
	err = rc.Control(func(fd uintptr) { watched = watch(epoll, fd, number, isKnown) })
	if err = cmp.Or(err, watched); err != nil && p.unregister(number) == nil { // it was cancelled meanwhile, and resumed
		return nil
	}
	return err
}

// add numbers a registration. isKnown says that there was one of this connection before.
func (p *Poller) add(r *registration, resume func()) (epoll *os.File, number uint64, isKnown bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, 0, false, net.ErrClosed
	}
	if p.epoll == nil {
		if err := p.open(); err != nil {
			return nil, 0, false, err
		}
	}
	isKnown = r.number > 0
	p.last++
	r.number = p.last
	p.waiting[p.last] = resume
	return p.epoll, p.last, isKnown, nil
}

// open makes the epoll, which Go's own poller waits for.
func (p *Poller) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return err
	}
	epoll := os.NewFile(uintptr(fd), "epoll")
	rc, err := epoll.SyscallConn()
	if err != nil {
		epoll.Close()
		return err
	}
	if !p.Go(func() { p.serve(rc) }) {
		epoll.Close()
		return net.ErrClosed
	}
	p.epoll, p.waiting = epoll, map[uint64]func(){}
	return nil
}

// watch has epoll report once, by number, that fd is readable. isKnown says that epoll has fd, probably: the wrong
// guess costs a system call.
func watch(epoll *os.File, fd uintptr, number uint64, isKnown bool) error {
	rc, err := epoll.SyscallConn()
	if err != nil {
		return err
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(number), Pad: int32(number >> 32)}
	first, then, wrong := unix.EPOLL_CTL_ADD, unix.EPOLL_CTL_MOD, unix.EEXIST
	if isKnown {
		first, then, wrong = then, first, unix.ENOENT
	}
	var watched error
	err = rc.Control(func(epfd uintptr) {
		if watched = unix.EpollCtl(int(epfd), first, int(fd), &e); watched == wrong {
			watched = unix.EpollCtl(int(epfd), then, int(fd), &e)
		}
	})
	return cmp.Or(err, watched)
}

// serve resumes the connections that have become readable, until the Poller is
// closed. What becomes readable after a look that has found few ends the wait for the next.
func (p *Poller) serve(rc syscall.RawConn) {
	var events [64]unix.EpollEvent
	rc.Read(func(epfd uintptr) (isClosed bool) {
		for {
			n, err := unix.EpollWait(int(epfd), events[:], 0)
			if err == unix.EINTR {
				continue
			}
			for _, e := range events[:max(n, 0)] {
				p.resume(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
			}
			if n < len(events) {
				return false
			}
		}
	})
}

func (p *Poller) resume(number uint64) {
	if resume := p.unregister(number); resume != nil {
		p.Go(resume)
	}
}

// unregister returns what resumes a registration; nil if it is none any more.
func (p *Poller) unregister(number uint64) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	resume := p.waiting[number]
	delete(p.waiting, number)
	return resume
}

// cancel resumes whoever waits by r.
func (p *Poller) cancel(r *registration) {
	p.mu.Lock()
	number := r.number
	p.mu.Unlock()
	p.resume(number)
}

// Close lets no connection wait any more. The owners of those that wait have to
// cancel them.
func (p *Poller) Close() {
	p.mu.Lock()
	p.closed = true
	epoll := p.epoll
	p.mu.Unlock()
	if epoll != nil {
		epoll.Close() // waits for serve, which may be about to resume somebody and wants the lock for that
	}
}

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

// Pending is how many bytes there are to read now; 0 if that is not known.
func (w *ReadWaiter) Pending() (n int) {
	w.rc.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n
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
