package relay

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// parkedPair is a connection that may wait in a lot, and its peer.
func parkedPair(t *testing.T, l *lot) (*parking, net.Conn, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close(); c.Close() })
	p := parkOn(newHold(NewCork(c)))
	p.lot = l
	return p, c, peer
}

// Whatever ends the wait, and all at once, resumes once: a carrier that is resumed
// twice has two readers, one that is not never ends.
func TestWhoWaitsInALotIsResumedOnce(t *testing.T) {
	t.Parallel()
	for name, wake := range map[string]func(p *parking, c, peer net.Conn){
		"bytes":             func(_ *parking, _, peer net.Conn) { peer.Write([]byte("x")) },
		"the peer's end":    func(_ *parking, _, peer net.Conn) { peer.Close() },
		"a reset":           func(_ *parking, _, peer net.Conn) { Abort(peer) },
		"its own end":       func(p *parking, c, _ net.Conn) { c.Close(); p.lot.leave(&p.at) },
		"bytes and its end": func(p *parking, c, peer net.Conn) { go peer.Write([]byte("x")); c.Close(); p.lot.leave(&p.at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := new(lot)
			defer l.close()
			var resumed atomic.Int64
			var all sync.WaitGroup
			for range 50 {
				p, c, peer := parkedPair(t, l)
				all.Add(1)
				if err := l.enter(p.rc, &p.at, func() { resumed.Add(1); all.Done() }); err != nil {
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

// passThrough returns when the lot has resumed another connection.
func passThrough(t *testing.T, l *lot) {
	t.Helper()
	p, _, peer := parkedPair(t, l)
	resumed := make(chan struct{})
	if err := l.enter(p.rc, &p.at, func() { close(resumed) }); err != nil {
		t.Fatal(err)
	}
	peer.Write([]byte("x"))
	<-resumed
}

func TestAConnectionWaitsInALotAgainAndAgain(t *testing.T) {
	t.Parallel()
	l := new(lot)
	defer l.close()
	p, c, peer := parkedPair(t, l)
	for i := range 200 {
		resumed := make(chan struct{})
		if err := l.enter(p.rc, &p.at, func() { close(resumed) }); err != nil {
			t.Fatal(err)
		}
		peer.Write([]byte{byte(i)})
		<-resumed
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALotThatIsClosedOrOfNoUseSaysSo(t *testing.T) {
	t.Parallel()
	l := new(lot)
	p, c, _ := parkedPair(t, l)
	c.Close()
	if err := l.enter(p.rc, &p.at, func() { t.Error("resumed") }); err == nil {
		t.Error("got a place for a closed connection")
	}
	l.close()
	q, _, _ := parkedPair(t, l)
	if err := l.enter(q.rc, &q.at, func() { t.Error("resumed") }); err == nil {
		t.Error("got a place in a closed lot")
	}
}
