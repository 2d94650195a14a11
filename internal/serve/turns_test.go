package serve

import (
	"crypto/tls"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// atTurns is a server that shakes hands by so many turns, and calls show in each, when it is a connection's.
func atTurns(t *testing.T, most int, show func()) (address string) {
	t.Helper()
	cert, err := SelfSigned(time.Now(), "turns.test")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := secureBy(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		show()
		return cert, nil
	})
	by := inTurn(ln, secure, most)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := by.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				s := tls.Server(c, secure)
				if s.Handshake() == nil {
					s.Read(make([]byte, 1))
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	return ln.Addr().String()
}

func dialTurn(t *testing.T, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

func shake(c net.Conn) error { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() }

func TestNoMoreHandshakesAreAnsweredAtOnceThanMayBe(t *testing.T) {
	t.Parallel()
	const most = 2
	var now, peak atomic.Int32
	at := atTurns(t, most, func() {
		for n := now.Add(1); n > peak.Load(); {
			peak.Store(n)
		}
		for range 1000 {
			runtime.Gosched()
		}
		now.Add(-1)
	})
	var all sync.WaitGroup
	for range 40 {
		c := dialTurn(t, at)
		all.Go(func() {
			if err := shake(c); err != nil {
				t.Errorf("got %v, want a handshake", err)
			}
		})
	}
	all.Wait()
	if got := peak.Load(); got > most {
		t.Errorf("got %d at once, want %d at most", got, most)
	}
}

// deaf reads nothing.
type deaf struct{ net.Conn }

func (c deaf) Read([]byte) (int, error) { select {} }

// Whoever sends nothing, or does not answer, keeps nobody waiting.
func TestNobodyHasATurnWhileTheNetworkIsWaitedFor(t *testing.T) {
	t.Parallel()
	shown := make(chan struct{}, 8)
	at := atTurns(t, 1, func() { shown <- struct{}{} })
	dialTurn(t, at) // says nothing
	for range 3 {
		go shake(deaf{dialTurn(t, at)})
		<-shown
	}
	if err := shake(dialTurn(t, at)); err != nil {
		t.Errorf("got %v, want a handshake", err)
	}
}

// Who has given up when the turn comes costs no answer.
func TestWhoHasLeftHasNoTurn(t *testing.T) {
	t.Parallel()
	entered, goOn := make(chan struct{}, 8), make(chan struct{})
	at := atTurns(t, 1, func() {
		entered <- struct{}{}
		<-goOn
	})
	first, left := dialTurn(t, at), dialTurn(t, at)
	go shake(first)
	<-entered
	tls.Client(&onlyHello{Conn: left}, &tls.Config{InsecureSkipVerify: true}).Handshake() // ends when the ClientHello has gone
	left.Close()
	goOn <- struct{}{}
	last := make(chan error, 1)
	go func() { last <- shake(dialTurn(t, at)) }()
	<-entered // the last one's, as it came behind who has left
	goOn <- struct{}{}
	if err := <-last; err != nil || len(entered) > 0 {
		t.Errorf("got %v and %d answers more, want a handshake and none for who has left", err, len(entered))
	}
}

// onlyHello fails to read.
type onlyHello struct{ net.Conn }

func (c *onlyHello) Read([]byte) (int, error) { return 0, net.ErrClosed }
