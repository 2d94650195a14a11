package e2e

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// spread is one address behind which connections go to each of some others in turn, as a
// load balancer has them go.
type spread struct {
	net   network
	ln    net.Listener
	to    []string
	next  atomic.Int64
	group sync.WaitGroup

	mu     sync.Mutex // guards the following
	closed bool
	open   map[net.Conn]struct{}
}

func (w *world) spread(to ...string) *spread {
	w.Helper()
	s := &spread{net: w.net, ln: w.net.listen(w), to: to, open: map[net.Conn]struct{}{}}
	s.group.Go(s.accept)
	w.Cleanup(func() {
		s.ln.Close()
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.cut()
		s.group.Wait()
	})
	return s
}

func (s *spread) addr() string { return s.ln.Addr().String() }

func (s *spread) accept() {
	for {
		near, err := s.ln.Accept()
		if err != nil {
			return
		}
		n := s.next.Add(1)
		far, err := s.net.dial(context.Background(), "tcp", s.to[n%int64(len(s.to))])
		if err != nil {
			abort(near)
			continue
		}
		s.keep(near, far)
		s.group.Go(func() { copyAll(far, near) })
		s.group.Go(func() { copyAll(near, far) })
	}
}

func (s *spread) keep(all ...net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range all {
		if s.open[c] = struct{}{}; s.closed {
			c.Close()
		}
	}
}

// cut resets all connections.
func (s *spread) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		abort(c)
	}
	clear(s.open)
}

func copyAll(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	to.Close()
	from.Close()
}

// Carriers come to either of two origins, whoever's tunnels they are for: tickets lead them
// on. Clients keep all of their tunnels while carriers are cut again and again, also those
// at an origin that drains, and those at the other when that one is gone.
func TestTunnelsOutliveCarriersThatComeToEitherOrigin(t *testing.T) {
	t.Parallel()
	t.Run("stream", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		one, other := w.member(), w.member()
		s := w.spread(one.front.addr, other.front.addr)
		w.spreadTunnels(one.far, s, func(user uint32) *near { return w.client(user, s.addr()) })
	})
	t.Run("gateway", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.api(apiOptions{})
		inside := w.spread(a.addr, a.origin(w, apiOptions{}).addr)
		a.inside.target.Store(inside.addr())
		s := w.spread(a.clients.addr)
		w.spreadTunnels(a.far, s, func(user uint32) *near { return w.clientBy(user, w.textFront(s.addr())) })
	})
}

// spreadTunnels has one of two origins drain and end. s leads to both.
func (w *world) spreadTunnels(one far, s *spread, client func(user uint32) *near) {
	w.Helper()
	const clients, each = 4, 2
	var chats []chat
	var nears []*near
	for user := range uint32(clients) {
		n := client(user + 1).ready()
		nears = append(nears, n)
		for range each {
			chats = append(chats, n.chat())
		}
	}
	pingAll := func(when string) {
		w.Helper()
		for i, c := range chats {
			if _, err := c.ping(patience); err != nil {
				w.Fatalf("chat %d %s: %v", i, when, err)
			}
		}
	}
	pingAll("in the beginning")
	for range size(1, 12) {
		s.cut()
		pingAll("after a cut")
	}
	down := nears[0].download(1, 8<<20)
	if err := down.upTo(1, patience); err != nil { // else its app, which says no more, is given up while no carrier is there for 3 s
		w.Fatal(err)
	}
	drained := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { drained <- one.Drain(ctx) }()
	for i := range size(1, 8) {
		s.cut()
		pingAll("beside a drain")
		if err := down.upTo((i+1)*8<<20/20, patience); err != nil {
			w.Fatalf("the download beside a drain, after %d bytes: %v", down.check.n, err)
		}
	}
	if err := down.rest(patience); err != nil {
		w.Error(err)
	}
	old := chats
	chats = nil
	for _, n := range nears {
		chats = append(chats, n.chat())
	}
	pingAll("that is new beside a drain")
	for _, c := range old {
		if err := c.finish(); err != nil {
			w.Error(err)
		}
	}
	if err := <-drained; err != nil { // the new ones have no place there
		w.Error(err)
	}
	one.crash()
	s.cut()
	pingAll("after the end of one origin")
}
