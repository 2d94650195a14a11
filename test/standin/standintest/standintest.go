// Package standintest has a stand-in at the service of tests.
package standintest

import (
	"net"
	"testing"

	"culvert/test/standin"
)

// Served is a stand-in that serves chat and media on this machine.
type Served struct {
	*standin.Server
	Chat, Media string // addresses
}

// Serve makes a stand-in that serves until the test ends. The test fails if
// serving ends with an error.
func Serve(t testing.TB) Served {
	t.Helper()
	s, err := standin.New()
	if err != nil {
		t.Fatal(err)
	}
	chat, media := Loopback(t), Loopback(t)
	ended := make(chan error, 2)
	go func() { ended <- s.ServeChat(chat) }()
	go func() { ended <- s.ServeMedia(media) }()
	t.Cleanup(func() {
		s.Close()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("serve: got %v after Close, want nil", err)
			}
		}
	})
	return Served{s, chat.Addr().String(), media.Addr().String()}
}

// Loopback listens on this machine until the test ends.
func Loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Dial connects to addr until the test ends.
func Dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Counting counts what is written.
type Counting struct {
	net.Conn
	Sent int
}

func (c *Counting) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.Sent += n
	return n, err
}
