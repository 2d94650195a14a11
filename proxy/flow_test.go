package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"culvert/internal/netpoll"
	"culvert/test/leak"
)

// newEchoWorld is a proxy before a chat server that sends back what it gets, and whose ends of connections the test has.
func newEchoWorld(t *testing.T, connections int) (*world, <-chan net.Conn) {
	t.Helper()
	far := make(chan net.Conn, 1000)
	ln := listen(t)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			far <- c
		}
	}()
	return newTellingWorld(t, connections, 0, func(string) string { return ln.Addr().String() }), far
}

// open begins a chat, and returns both of its ends.
func (w *world) open(t *testing.T, far <-chan net.Conn) (app, whatsapp net.Conn) {
	t.Helper()
	app, err := net.Dial("tcp", w.at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	if _, err := app.Write([]byte("WA")); err != nil {
		t.Fatal(err)
	}
	whatsapp = <-far
	t.Cleanup(func() { whatsapp.Close() })
	crosses(t, whatsapp, app, []byte("WA"), nil)
	return app, whatsapp
}

// crosses wants bytes, which are written to from if they are not yet.
func crosses(t *testing.T, to, from net.Conn, want, write []byte) {
	t.Helper()
	go from.Write(write)
	to.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(to, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes, %v, want %d", len(got), err, len(want))
	}
}

// rest returns when no direction has a goroutine any more: half a second after it moved something.
func rest(t *testing.T, before leak.Goroutines) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return // the Poller takes nobody
	}
	tick, late := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for len(leak.Since(before).With("culvert/proxy.(*direction)")) > 0 {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("directions in which nothing moves do not rest")
		}
	}
}

// Most chats say nothing most of the time. Then they have no goroutine, and no file but their connections', so that a
// limit of 20,000 files is one of thousands of chats. What comes then comes at once, however much it is.
func TestAChatThatRestsHoldsItsConnectionsAlone(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the Poller")
	}
	const n, others = 100, 40
	before := leak.Running()
	w, far := newEchoWorld(t, 10*n)
	left := netpoll.Left()
	var apps, ends []net.Conn
	for range n {
		app, whatsapp := w.open(t, far)
		apps, ends = append(apps, app), append(ends, whatsapp)
	}
	rest(t, before)
	if got := left - netpoll.Left(); got > 4*n+others { // two of the proxy's, one of either end's
		t.Errorf("got %d files for %d chats, want 4 for each", got, n)
	}
	much := make([]byte, 3<<20+1)
	rand.NewChaCha8([32]byte{1}).Read(much)
	for i, app := range apps[:3] {
		crosses(t, ends[i], app, []byte("up"), []byte("up"))
		crosses(t, app, ends[i], []byte("down"), []byte("down"))
		crosses(t, ends[i], app, much, much)
		crosses(t, app, ends[i], much, much)
	}
}

// However one end of a chat that rests is over, the other one learns it: an end in order as such, after which the other
// direction goes on, and a reset as such.
func TestAChatThatRestsLearnsHowItEnds(t *testing.T) {
	before := leak.Running()
	t.Cleanup(func() { before.Check(t) })
	w, far := newEchoWorld(t, 100)
	type pair struct{ here, there net.Conn }
	var inOrder, reset []pair
	for _, all := range []*[]pair{&inOrder, &reset} {
		app, whatsapp := w.open(t, far)
		*all = append(*all, pair{app, whatsapp})
		app, whatsapp = w.open(t, far)
		*all = append(*all, pair{whatsapp, app})
	}
	rest(t, before)
	for _, p := range inOrder {
		p.here.(*net.TCPConn).CloseWrite()
		if n, err := p.there.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("got %d bytes, %v, want an end in order", n, err)
		}
		crosses(t, p.here, p.there, []byte("still"), []byte("still"))
		p.there.Close()
		if n, err := p.here.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("got %d bytes, %v, want an end in order", n, err)
		}
	}
	for _, p := range reset {
		p.here.(*net.TCPConn).SetLinger(0)
		p.here.Close()
		p.there.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := p.there.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	}
}

// A chat that rests and loses its place to another ends, at both ends, as one that is not whole, and nothing of it is left.
func TestAChatThatRestsEndsWhenItLosesItsPlace(t *testing.T) {
	before := leak.Running()
	t.Cleanup(func() { before.Check(t) })
	w, far := newEchoWorld(t, 2)
	var all []net.Conn
	for range 6 {
		app, whatsapp := w.open(t, far)
		all = append(all, app, whatsapp)
		if len(all) == 4 {
			rest(t, before)
		}
	}
	ended := 0
	for _, c := range all {
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if ended++; !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v, want a reset", err)
		}
	}
	if ended < 8 || ended%2 != 0 {
		t.Errorf("got %d of 12 ends over, want those of all but two chats", ended)
	}
}
