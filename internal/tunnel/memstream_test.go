package tunnel

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// memStream is one end of a TCP connection in memory: it half-closes, and it
// is reset when closed with SetLinger(0) or with bytes unread.
type memStream struct {
	mu     *sync.Mutex // of both ends
	wake   *sync.Cond
	peer   *memStream
	in     []byte
	room   int // bytes that in may hold
	eof    bool
	reset  bool
	closed bool
	linger bool // Close resets
}

func streamPair(room int) (*memStream, *memStream) {
	mu := new(sync.Mutex)
	wake := sync.NewCond(mu)
	a := &memStream{mu: mu, wake: wake, room: room}
	b := &memStream{mu: mu, wake: wake, room: room, peer: a}
	a.peer = b
	return a, b
}

func (s *memStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.reset:
			return 0, syscall.ECONNRESET
		case len(s.in) > 0:
			n := copy(p, s.in)
			s.in = s.in[n:]
			s.wake.Broadcast()
			return n, nil
		case s.eof:
			return 0, io.EOF
		}
		s.wake.Wait()
	}
}

func (s *memStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := 0
	for {
		switch {
		case s.closed:
			return done, net.ErrClosed
		case s.reset:
			return done, syscall.ECONNRESET
		case s.peer.closed || s.peer.eof:
			return done, syscall.EPIPE
		case done == len(p):
			return done, nil
		}
		if n := min(s.peer.room-len(s.peer.in), len(p)-done); n > 0 {
			s.peer.in = append(s.peer.in, p[done:done+n]...)
			done += n
			s.wake.Broadcast()
			continue
		}
		s.wake.Wait()
	}
}

func (s *memStream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peer.eof = true
	s.wake.Broadcast()
	return nil
}

func (s *memStream) SetLinger(sec int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.linger = sec == 0
	return nil
}

func (s *memStream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.linger || len(s.in) > 0 {
		s.peer.reset, s.peer.in = true, nil
	}
	s.peer.eof = true
	s.wake.Broadcast()
	return nil
}

type memAddr struct{}

func (memAddr) Network() string { return "memory" }
func (memAddr) String() string  { return "memory" }

func (*memStream) LocalAddr() net.Addr              { return memAddr{} }
func (*memStream) RemoteAddr() net.Addr             { return memAddr{} }
func (*memStream) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (*memStream) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (*memStream) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }
