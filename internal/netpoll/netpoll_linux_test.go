package netpoll

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/test/tcppair"

	"golang.org/x/sys/unix"
)

// newPoller makes a Poller whose goroutines end when it is closed.
func newPoller() *Poller {
	return &Poller{Go: func(f func()) bool { go f(); return true }}
}

// waiterPair is a connection that may wait in l, and its peer.
func waiterPair(t *testing.T, l *Poller) (*ReadWaiter, net.Conn, net.Conn) {
	t.Helper()
	peer, c := tcppair.Open(t)
	p := NewReadWaiter(c)
	p.Use(l)
	return p, c, peer
}

// Whatever ends the wait, and all at once, resumes once: a carrier that is resumed
// twice has two readers, one that is not never ends.
func TestWhoWaitsInAPollerIsResumedOnce(t *testing.T) {
	t.Parallel()
	for name, wake := range map[string]func(p *ReadWaiter, c, peer net.Conn){
		"bytes":             func(_ *ReadWaiter, _, peer net.Conn) { peer.Write([]byte("x")) },
		"the peer's end":    func(_ *ReadWaiter, _, peer net.Conn) { peer.Close() },
		"a reset":           func(_ *ReadWaiter, _, peer net.Conn) { peer.(*net.TCPConn).SetLinger(0); peer.Close() },
		"its own end":       func(p *ReadWaiter, c, _ net.Conn) { c.Close(); p.Cancel() },
		"bytes and its end": func(p *ReadWaiter, c, peer net.Conn) { go peer.Write([]byte("x")); c.Close(); p.Cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newPoller()
			defer l.Close()
			var resumed atomic.Int64
			var all sync.WaitGroup
			for range 50 {
				p, c, peer := waiterPair(t, l)
				all.Add(1)
				if err := l.register(p.rc, &p.at, func() { resumed.Add(1); all.Done() }); err != nil {
					t.Fatal(err)
				}
				go wake(p, c, peer)
			}
			all.Wait()
			passThrough(t, l) // a second time comes before that, and panics
			if len(l.waiting) > 0 || resumed.Load() != 50 {
				t.Errorf("got %d resumed and %d left, want 50 and none", resumed.Load(), len(l.waiting))
			}
		})
	}
}

// passThrough returns when the poller has resumed another connection.
func passThrough(t *testing.T, l *Poller) {
	t.Helper()
	p, _, peer := waiterPair(t, l)
	resumed := make(chan struct{})
	if err := l.register(p.rc, &p.at, func() { close(resumed) }); err != nil {
		t.Fatal(err)
	}
	peer.Write([]byte("x"))
	<-resumed
}

func TestAConnectionWaitsInAPollerAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := newPoller()
	defer l.Close()
	p, c, peer := waiterPair(t, l)
	for i := range 200 {
		resumed := make(chan struct{})
		if err := l.register(p.rc, &p.at, func() { close(resumed) }); err != nil {
			t.Fatal(err)
		}
		peer.Write([]byte{byte(i)})
		<-resumed
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// A connection has rested after which many others have begun to wait.
func TestALookSaysWhetherAllHaveRested(t *testing.T) {
	t.Parallel()
	l, serves := &Poller{}, true
	l.Go = func(f func()) bool {
		if !serves { // the test looks itself
			go f()
		}
		serves = false
		return true
	}
	p, _, peer := waiterPair(t, l)
	peer.Write([]byte("x"))
	p.Wait()
	for _, others := range []uint64{0, restedFor - 1, restedFor, 10 * restedFor} {
		if err := l.register(p.rc, &p.at, func() {}); err != nil {
			t.Fatal(err)
		}
		l.last += others
		rc, err := l.epoll.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		rc.Control(func(epfd uintptr) {
			if found, haveRested := l.look(int(epfd)); found != 1 || haveRested != (others >= restedFor) {
				t.Errorf("%d others: got %d found, rested: %v", others, found, haveRested)
			}
		})
	}
}

func TestWhatComesOftenIsGathered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		found      int
		haveRested bool
		since      time.Duration
		gathered   bool
		want       bool
	}{
		"one comes soon after another":            {1, true, gatherOnce / 2, false, true},
		"one comes late":                          {1, true, gatherOnce, false, false},
		"none comes":                              {0, true, 0, false, false},
		"one in use comes":                        {1, false, 0, false, false},
		"company has come":                        {company, true, gatherFor, true, true},
		"one in use is in company":                {company, false, gatherFor, true, false},
		"too few have come in the time of a wait": {company - 1, true, gatherFor, true, false},
	} {
		if got := gathers(c.found, c.haveRested, c.since, c.gathered); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestAPollerThatIsClosedOrOfNoUseSaysSo(t *testing.T) {
	t.Parallel()
	l := newPoller()
	p, c, _ := waiterPair(t, l)
	c.Close()
	if err := l.register(p.rc, &p.at, func() { t.Error("resumed") }); err == nil {
		t.Error("got a registration for a closed connection")
	}
	l.Close()
	q, _, _ := waiterPair(t, l)
	if err := l.register(q.rc, &q.at, func() { t.Error("resumed") }); err == nil {
		t.Error("got a registration in a closed poller")
	}
}

func TestUnreadIsWhatHasComeUntilItIsRead(t *testing.T) {
	t.Parallel()
	_, c, peer := waiterPair(t, newPoller())
	if Unread(c) {
		t.Error("got something unread before anything came")
	}
	peer.Write(make([]byte, 1000))
	io.ReadFull(c, make([]byte, 1000))
	if Unread(c) {
		t.Error("got something unread after all was read")
	}
	peer.Write([]byte{0})
	if w := NewReadWaiter(c); w.Wait() != nil || !Unread(c) || !Unread(tls.Client(c, &tls.Config{})) {
		t.Error("got nothing unread after something had come, want it beneath TLS, too")
	}
	c.Close()
	if near, _ := net.Pipe(); Unread(c) || Unread(near) {
		t.Error("got something unread on a closed connection, or on none of TCP")
	}
}

func TestPendingIsWhatThereIsToRead(t *testing.T) {
	t.Parallel()
	p, c, peer := waiterPair(t, newPoller())
	if got := p.Pending(); got != 0 {
		t.Errorf("got %d bytes before any", got)
	}
	peer.Write(make([]byte, 1000))
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	c.Read(make([]byte, 400))
	if got := p.Pending(); got != 600 {
		t.Errorf("got %d bytes, want 600", got)
	}
	c.Close()
	if got := p.Pending(); got != 0 {
		t.Errorf("got %d bytes of a closed connection", got)
	}
}

// The epoll may have a connection by another waiter, or not have one that has waited elsewhere.
func TestAPollerThatIsWrongAboutAConnectionWatchesIt(t *testing.T) {
	t.Parallel()
	one, other := newPoller(), newPoller()
	defer one.Close()
	defer other.Close()
	p, c, peer := waiterPair(t, one)
	again := NewReadWaiter(c)
	for _, w := range []struct {
		waiter *ReadWaiter
		in     *Poller
	}{{p, one}, {again, one}, {again, other}} {
		resumed := make(chan struct{})
		w.waiter.Use(w.in)
		if !w.waiter.Park(func() { close(resumed) }) {
			t.Fatal("got no wait")
		}
		peer.Write([]byte("x"))
		<-resumed
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever has waited in a poller, or need not, reads without another look.
func TestWhatParkHasFoundOutIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	l := newPoller()
	_, tcp, peer := waiterPair(t, l)
	c := NewConn(tcp, func() []byte { return make([]byte, 8) }, func([]byte) {})
	c.Use(l)
	c.Peek = true
	resumed := make(chan struct{})
	if !c.Park(func() { close(resumed) }) {
		t.Fatal("got no wait, with nothing to read")
	}
	peer.Write([]byte("x"))
	<-resumed
	if c.Peek {
		t.Error("it was resumed, and looks")
	}
	c.Peek = true
	if c.Park(func() { t.Error("resumed") }) || c.Peek {
		t.Error("it waits, or looks, with something to read")
	}
	if _, n, err := c.Read(0, 8); n != 1 || err != nil {
		t.Errorf("got %d bytes and %v, want 1", n, err)
	}
	l.Close()
	c.Peek = true
	if c.Park(func() { t.Error("resumed") }) || !c.Peek {
		t.Error("no poller takes it, and it waits, or with a buffer")
	}
}

// Who is resumed just then does not keep a Poller from being closed, nor the other way round.
func TestAPollerIsClosedWhileItResumes(t *testing.T) {
	t.Parallel()
	for range 200 {
		l := newPoller()
		var all sync.WaitGroup
		for range 4 {
			p, c, peer := waiterPair(t, l)
			all.Add(1)
			if err := l.register(p.rc, &p.at, all.Done); err != nil {
				t.Fatal(err)
			}
			defer func() { c.Close(); p.Cancel(); peer.Close() }()
			go peer.Write([]byte("x"))
		}
		l.Close()
	}
}

func TestOnlyWhoHasLeftHasHungUp(t *testing.T) {
	t.Parallel()
	_, c := tcppair.Open(t)
	if HungUp(c) {
		t.Error("a peer that stays has hung up")
	}
	if c.Close(); !HungUp(c) {
		t.Error("what we have closed is not over")
	}
	if isOver(nil, unix.EOPNOTSUPP) {
		t.Error("a peer of whom the system says nothing has hung up")
	}
}
