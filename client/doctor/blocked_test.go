package doctor_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"culvert/client/doctor"
	"culvert/client/front"
	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/selfsigned"
	"culvert/test/local/localtest"
)

// watched is a connection of a network that drops or resets ClientHellos with some bytes.
type watched struct {
	net.Conn
	bad    string
	reset  bool
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards the following
	dropped bool
}

func (c *watched) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bytes.Contains(b, []byte(c.bad)) {
		c.dropped = true
		c.Conn.Close()
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *watched) Read(b []byte) (int, error) {
	c.mu.Lock()
	dropped := c.dropped
	c.mu.Unlock()
	switch {
	case !dropped:
		return c.Conn.Read(b)
	case c.reset:
		return 0, io.EOF
	}
	<-c.closed
	return 0, net.ErrClosed
}

func (c *watched) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestABlockedNameIsToldFromABlockedAddress(t *testing.T) {
	t.Parallel()
	relay := localtest.Open(t)
	f := relay.Link.Fronts[0]
	f.Dial, f.Host = []string{f.Host}, "front.example"
	l := &link.Link{Keys: relay.Link.Keys, Fronts: []link.Front{f}}
	for name, c := range map[string]struct {
		bad   string
		reset bool
		want  doctor.Cause
	}{
		"a name that is dropped":     {"front.example", false, doctor.NameSilent},
		"a name that is reset":       {"front.example", true, doctor.NameReset},
		"every hello that is reset":  {"http/1.1", true, doctor.TLSReset},
		"nothing that is in a hello": {"another.example", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &front.Dialer{Wrap: func(raw net.Conn) net.Conn {
				return &watched{Conn: raw, bad: c.bad, reset: c.reset, closed: make(chan struct{})}
			}}
			r := doctor.Examine(t.Context(), l, doctor.Options{Dialer: d}, relay.Trust, doctor.Silent{})
			if got := at(r, doctor.TLS); got.Cause != c.want || (c.want == "") != (got.Status == doctor.Passed) {
				t.Errorf("got %+v, want %q", got, c.want)
			}
		})
	}
	dead := &link.Link{Keys: l.Keys, Fronts: []link.Front{localtest.DeadFront(t)}}
	r := doctor.Examine(t.Context(), dead, doctor.Options{}, relay.Trust, doctor.Silent{})
	if got := at(r, doctor.Network); got.Cause != doctor.AddressRefused || got.Try == "" {
		t.Errorf("got %+v, want %q", got, doctor.AddressRefused)
	}
}

// holdingFront is a front that answers pages, if it does, and no WebSocket.
type holdingFront struct {
	pages bool
	cert  *tls.Certificate
}

func (f holdingFront) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	go f.serve(tls.Server(far, &tls.Config{Certificates: []tls.Certificate{*f.cert}}))
	return near, nil
}

func (f holdingFront) serve(c net.Conn) {
	defer c.Close()
	reader := bufio.NewReader(c)
	q, err := http.ReadRequest(reader)
	if err == nil && f.pages && q.Header.Get("Upgrade") == "" {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	io.Copy(io.Discard, reader)
}

func TestAFrontThatBuffersIsToldFromOneThatIsSilent(t *testing.T) {
	t.Parallel()
	for pages, want := range map[bool]doctor.Cause{true: doctor.Buffers, false: doctor.UpgradeSilent} {
		synctest.Test(t, func(t *testing.T) {
			cert, err := selfsigned.Make(time.Now(), time.Hour, "front.example")
			if err != nil {
				t.Fatal(err)
			}
			f := link.Front{Host: "192.0.2.1:443", Path: "/", Pins: []link.Pin{link.PinOf(cert.Leaf)}}
			l := &link.Link{Keys: seal.NewMaster().Client(1), Fronts: []link.Front{f}}
			d := &front.Dialer{Connect: holdingFront{pages, cert}.dial}
			r := doctor.Examine(t.Context(), l, doctor.Options{Dialer: d}, doctor.Genuine(), doctor.Silent{})
			if got := at(r, doctor.Gate); got.Status != doctor.Failed || got.Cause != want {
				t.Errorf("got %+v, want %q", got, want)
			}
		})
	}
}
