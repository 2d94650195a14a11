package transport

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/test/tcppair"
)

// slowWire is a peer that has sent what is in it, and takes what it is sent after a while.
type slowWire struct {
	net.Conn
	in    *bytes.Reader
	takes time.Duration
}

func (c *slowWire) Read(b []byte) (int, error) { return c.in.Read(b) }

func (c *slowWire) Write(b []byte) (int, error) {
	time.Sleep(c.takes)
	return len(b), nil
}

func (*slowWire) Close() error { return nil }

// coder/websocket ends by a timer whoever takes a pong for 5 s. As that might fire when another socket has the library, it
// has none.
func TestALibraryLeavesNoTimerBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newMessageWriter(&slowWire{in: bytes.NewReader([]byte("\x89\x80aaaa\x82\x81\x00\x00\x00\x00x")), takes: time.Minute})
		l, err := borrowLibrary(w, newLibrary)
		if err != nil {
			t.Fatal(err)
		}
		s := newBinarySocket(l, w)
		defer s.Close()
		r, err := s.NextMessage()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != "x" {
			t.Errorf("got %q and %v, want the message behind the ping", got, err)
		}
	})
}

// closing calls during when it has closed.
type closing struct {
	net.Conn
	during func()
}

func (c *closing) Close() error {
	err := c.Conn.Close()
	c.during()
	return err
}

// A peer that leaves in the midst of a message has it end there. Its reader, which finds nothing on a connection that is
// being closed, does not leave the rest to be read from another's.
func TestALibraryInTheMidstOfAMessageIsNotLent(t *testing.T) {
	t.Parallel()
	peer, c := tcppair.Open(t)
	io.WriteString(peer, "\x02\x81\x00\x00\x00\x00x") // the message goes on
	peer.Close()
	during := func() {}
	w := newMessageWriter(&closing{c, func() { during() }})
	l, err := borrowLibrary(w, newLibrary)
	if err != nil {
		t.Fatal(err)
	}
	s := newBinarySocket(l, w)
	s.waiter = netpoll.NewReadWaiter(c)
	group := tasks.NewGroup()
	poller := &netpoll.Poller{Go: group.Go}
	s.Start(Owner{Tasks: group, Poller: poller})
	defer group.Wait()
	defer poller.Close()
	if r, err := s.NextMessage(); err != nil {
		t.Fatal(err)
	} else if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	during = func() { s.Park(func() {}) }
	s.Close()
	if !s.hasLibrary() {
		t.Error("a library has left in the midst of a message")
	}
}
