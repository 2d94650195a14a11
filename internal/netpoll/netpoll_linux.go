package netpoll

import (
	"cmp"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

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
	if err = cmp.Or(err, watched); err != nil {
		if resume, _ := p.unregister(number); resume == nil { // it was cancelled meanwhile, and resumed
			return nil
		}
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

// Where very many connections rest, and something comes by one of them all the time, each by itself would have a thread
// woken, and put to sleep again, which takes as long as to pass on what came. What comes by those that have rested for
// restedFor registrations of others is gathered for gatherFor, if it comes as often as once in gatherOnce, until company
// does not come in that time; what comes by one in use is resumed at once, and all others with it.
const (
	gatherFor  = 8 * time.Millisecond
	gatherOnce = 2 * time.Millisecond
	restedFor  = 512
	company    = int(gatherFor / gatherOnce)
)

// serve resumes the connections that have become readable, until the Poller is
// closed. What becomes readable after a look that has found few ends the wait for the next.
func (p *Poller) serve(rc syscall.RawConn) {
	var looked time.Time
	gathering := false
	rc.Read(func(epfd uintptr) (isClosed bool) {
		since := time.Since(looked)
		found, haveRested := p.look(int(epfd))
		if gathering = gathers(found, haveRested, since, gathering); gathering {
			time.Sleep(gatherFor)
		}
		looked = time.Now()
		return false
	})
}

// gathers reports whether to wait before the next look, after one that has found so many connections, which have all
// rested or not, so long after the look before, for which it was waited or not.
func gathers(found int, haveRested bool, since time.Duration, gathered bool) bool {
	isOften := gathered && found >= company || !gathered && found > 0 && since < gatherOnce
	return haveRested && isOften
}

// look resumes what has become readable, and says how many connections that are, and whether all had rested.
func (p *Poller) look(epfd int) (found int, haveRested bool) {
	var events [64]unix.EpollEvent
	haveRested = true
	for {
		n, err := unix.EpollWait(epfd, events[:], 0)
		if err == unix.EINTR {
			continue
		}
		for _, e := range events[:max(n, 0)] {
			number := uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32
			haveRested = p.resume(number) && haveRested
		}
		if found += max(n, 0); n < len(events) {
			return found, haveRested
		}
	}
}

// resume ends a registration, and reports whether that is one of a connection that has rested.
func (p *Poller) resume(number uint64) (hasRested bool) {
	resume, hasRested := p.unregister(number)
	if resume != nil {
		p.Go(resume)
	}
	return hasRested
}

// unregister returns what resumes a registration, nil if it is none any more, and whether many have come after it.
func (p *Poller) unregister(number uint64) (resume func(), isOld bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	resume = p.waiting[number]
	delete(p.waiting, number)
	return resume, p.last-number >= restedFor
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
	sc, ok := Beneath(c).(syscall.Conn)
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
func (w *ReadWaiter) Pending() int { return pending(w.rc) }

func pending(rc syscall.RawConn) (n int) {
	rc.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n
}

// Unread reports whether something has come on the TCP connection at the bottom of c, TLS or not, that nobody has read.
// It is false where that is not known.
func Unread(c net.Conn) bool {
	sc, ok := Beneath(c).(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	return err == nil && pending(rc) > 0
}

// These are TCP_ESTABLISHED and TCP_CLOSE of the kernel's tcp_states.h.
const (
	tcpEstablished = 1
	tcpClose       = 7
)

// HungUp reports whether the peer of a TCP connection has closed or reset it, or we have. It is false where the system does
// not say, as of MPTCP before Linux 5.16.
func HungUp(c net.Conn) bool {
	rc := rawConn(Beneath(c))
	if rc == nil { // it is none
		return false
	}
	hungUp := true // none looks at what we have closed
	rc.Control(func(fd uintptr) { hungUp = isOver(unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)) })
	return hungUp
}

func isOver(info *unix.TCPInfo, err error) bool { return err == nil && info.State != tcpEstablished }

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
