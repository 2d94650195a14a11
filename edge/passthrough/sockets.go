package passthrough

import (
	"context"
	"sync"
)

// sockets are the exchanges that are or want to become WebSockets.
type sockets struct {
	max int

	mu      sync.Mutex // guards the following
	open    map[*exchange]struct{}
	closing bool
	empty   chan struct{} // made by drain, closed by the last to leave
}

// enter reports whether one more may be open. The caller calls
// leave when x has ended.
func (s *sockets) enter(x *exchange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.open) >= s.max {
		return false
	}
	if s.open == nil {
		s.open = map[*exchange]struct{}{}
	}
	s.open[x] = struct{}{}
	return true
}

func (s *sockets) leave(x *exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, x)
	s.tell()
}

// tell closes empty if someone waits for it and nobody is left.
func (s *sockets) tell() {
	if s.closing && s.empty != nil && len(s.open) == 0 {
		close(s.empty)
		s.empty = nil
	}
}

func (s *sockets) drain(ctx context.Context) error {
	empty := s.refuse()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
	}
	s.cut()
	<-empty // a cut socket ends at once: both its connections are closed
	return ctx.Err()
}

// refuse admits nobody from now on and returns what tells that all have left.
func (s *sockets) refuse() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.tell()
	return empty
}

func (s *sockets) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x := range s.open {
		x.cancel()
	}
}
