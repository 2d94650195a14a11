package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/wire"
)

// counted counts the writes beneath TLS.
type counted struct {
	net.Conn
	writes *atomic.Int64
}

func (c counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

type countedListener struct {
	net.Listener
	writes *atomic.Int64
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return counted{c, l.writes}, err
}

// loopback serves sockets over TLS and returns a way to connect to it.
type loopback struct {
	near, far atomic.Int64 // writes beneath TLS
	sockets   chan Transport
	dial      func() net.Conn // with TLS
	tcp       net.Conn        // of the last dial
}

func newLoopback(t *testing.T) *loopback {
	t.Helper()
	l := &loopback{sockets: make(chan Transport, 1)}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, err := Accept(w, r, nil); err == nil {
			l.sockets <- s
		}
	}))
	srv.TLS = &tls.Config{DynamicRecordSizingDisabled: true}
	srv.Listener = CorkListener{countedListener{srv.Listener, &l.far}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	l.dial = func() net.Conn {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		l.tcp = c
		return tls.Client(NewCork(counted{c, &l.near}), &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	}
	return l
}

func (l *loopback) pair(t *testing.T) (near, far Transport) {
	t.Helper()
	near, _, err := Upgrade(t.Context(), l.dial(), "example.org", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	far = <-l.sockets
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func wantMessage(t *testing.T, s Transport, want []byte) {
	t.Helper()
	r, err := s.NextMessage()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(want))
	}
}

func TestAMessageCostsOneWriteBeneathTLS(t *testing.T) {
	t.Parallel()
	l := newLoopback(t)
	near, far := l.pair(t)
	for _, size := range []int{17, 5000, 16 << 10, wire.MaxRecord} {
		m := bytesOf(size, 1)
		for _, c := range []struct {
			name     string
			from, to Transport
			writes   *atomic.Int64
		}{{"near", near, far, &l.near}, {"far", far, near, &l.far}} {
			before := c.writes.Load()
			if err := c.from.WriteMessage(m); err != nil {
				t.Fatal(err)
			}
			if got := c.writes.Load() - before; got != 1 {
				t.Errorf("%s, %d bytes: got %d writes, want 1", c.name, size, got)
			}
			wantMessage(t, c.to, m)
		}
	}
}

// A socket whose peer reads nothing is closed without saying goodbye, which
// would take five seconds.
func TestAStuckSocketClosesAtOnce(t *testing.T) {
	t.Parallel()
	near, _ := newLoopback(t).pair(t)
	wrote := make(chan error, 1)
	var count atomic.Int64
	go func() {
		for {
			if err := near.WriteMessage(make([]byte, wire.MaxRecord)); err != nil {
				wrote <- err
				return
			}
			count.Add(1)
		}
	}()
	for before := int64(-1); before != count.Load(); { // until the kernel takes no more
		before = count.Load()
		<-time.After(100 * time.Millisecond)
	}
	began := time.Now()
	near.Close()
	if err := <-wrote; err == nil {
		t.Error("got no error, want one")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("closing took %v, want no wait", took)
	}
}

func TestARefusalIsReturned(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, resp, err := Upgrade(t.Context(), c, "example.org", "/", nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %v and %v, want a 404 and an error", resp, err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want the connection closed", err)
	}
}

// bytesOf makes n bytes that differ everywhere.
func bytesOf(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
