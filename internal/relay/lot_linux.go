package relay

import (
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// lot is where idle carriers and streams wait to become readable, all by one
// goroutine: one for each would be the largest part of what an idle client costs.
// The zero value is ready.
type lot struct {
	mu      sync.Mutex // guards the following
	epoll   *os.File   // nil: nobody has come yet
	closed  bool
	last    uint64 // place that was given
	waiting map[uint64]func()
}

// place is where a connection waits in a lot; the zero value is none.
type place struct{ number uint64 } // guarded by the lot's mu

// enter has resume called, in a goroutine of its own, once rc is readable or p is
// left. An error means that rc has to be waited for in another way.
func (l *lot) enter(rc syscall.RawConn, p *place, resume func()) error {
	epoll, at, err := l.take(p, resume)
	if err != nil {
		return err
	}
	var watched error
	err = rc.Control(func(fd uintptr) { watched = watch(epoll, fd, at) })
	if err == nil {
		err = watched
	}
	if err != nil && l.free(at) == nil { // it was left meanwhile, and resumed
		return nil
	}
	return err
}

func (l *lot) take(p *place, resume func()) (epoll *os.File, at uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, 0, net.ErrClosed
	}
	if l.epoll == nil {
		if err := l.open(); err != nil {
			return nil, 0, err
		}
	}
	l.last++
	p.number = l.last
	l.waiting[l.last] = resume
	return l.epoll, l.last, nil
}

// open makes the epoll, which Go's own poller waits for.
func (l *lot) open() error {
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
	l.epoll, l.waiting = epoll, map[uint64]func(){}
	go l.serve(rc)
	return nil
}

// watch has epoll tell once, by the number at, that fd is readable.
func watch(epoll *os.File, fd uintptr, at uint64) error {
	rc, err := epoll.SyscallConn()
	if err != nil {
		return err
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: int32(at), Pad: int32(at >> 32)}
	var watched error
	err = rc.Control(func(epfd uintptr) {
		if watched = unix.EpollCtl(int(epfd), unix.EPOLL_CTL_MOD, int(fd), &e); watched == unix.ENOENT {
			watched = unix.EpollCtl(int(epfd), unix.EPOLL_CTL_ADD, int(fd), &e)
		}
	})
	if err != nil {
		return err
	}
	return watched
}

// serve resumes who has become readable, until the lot is closed.
func (l *lot) serve(rc syscall.RawConn) {
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := rc.Read(func(epfd uintptr) bool {
			n, _ = unix.EpollWait(int(epfd), events[:], 0)
			return n > 0
		})
		if err != nil {
			return
		}
		for _, e := range events[:n] {
			l.resume(uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32)
		}
	}
}

func (l *lot) resume(at uint64) {
	if resume := l.free(at); resume != nil {
		go resume()
	}
}

// free returns whom to resume of a place; nil if that has been done.
func (l *lot) free(at uint64) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	resume := l.waiting[at]
	delete(l.waiting, at)
	return resume
}

// leave resumes whoever waits in p.
func (l *lot) leave(p *place) {
	l.mu.Lock()
	at := p.number
	l.mu.Unlock()
	l.resume(at)
}

// close lets nobody in any more. Those who wait have to leave.
func (l *lot) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.epoll != nil {
		l.epoll.Close()
	}
}
