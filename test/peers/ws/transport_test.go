// Package ws holds no code: its tests let gobwas/ws, a WebSocket implementation
// that shares nothing with the one of our products, talk to them.
package ws

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gobwas/ws"

	"culvert/internal/transport"
	"culvert/internal/wire"
)

// dial connects over TLS to a server, and returns both ends.
func dial(t *testing.T) (conn net.Conn, far transport.Transport) {
	t.Helper()
	accepted := make(chan transport.Transport, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s, err := transport.Accept(w, r, nil); err == nil {
			accepted <- s
		}
	}))
	server.TLS = &tls.Config{DynamicRecordSizingDisabled: true}
	server.Listener = transport.CorkListener{Listener: server.Listener}
	server.StartTLS()
	t.Cleanup(server.Close)
	conn, err := tls.Dial("tcp", server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	if _, _, _, err := d.Dial(t.Context(), "ws://example.org/"); err != nil {
		t.Fatal(err)
	}
	far = <-accepted
	t.Cleanup(func() { far.Close() })
	return conn, far
}

func next(far transport.Transport) ([]byte, error) {
	r, err := far.NextMessage()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestAnotherImplementationMayBeTheClient(t *testing.T) {
	t.Parallel()
	big := make([]byte, wire.MaxMessage)
	rand.Read(big)
	for name, c := range map[string]struct {
		frames []ws.Frame
		want   []byte // nil: refused
	}{
		"a message":              {[]ws.Frame{ws.NewBinaryFrame([]byte("whole"))}, []byte("whole")},
		"the largest message":    {[]ws.Frame{ws.NewBinaryFrame(big)}, big},
		"a fragmented message":   {[]ws.Frame{ws.NewFrame(ws.OpBinary, false, []byte("in ")), ws.NewPingFrame([]byte("?")), ws.NewFrame(ws.OpContinuation, true, []byte("two"))}, []byte("in two")},
		"text":                   {[]ws.Frame{ws.NewTextFrame([]byte("text"))}, nil},
		"more than MaxMessage":   {[]ws.Frame{ws.NewBinaryFrame(append(bytes.Clone(big), 0))}, nil},
		"a goodbye":              {[]ws.Frame{ws.NewCloseFrame(nil)}, nil},
		"a continuation of none": {[]ws.Frame{ws.NewFrame(ws.OpContinuation, true, []byte("x"))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, far := dial(t)
			go io.Copy(io.Discard, conn)
			for _, f := range c.frames {
				ws.WriteFrame(conn, ws.MaskFrame(f))
			}
			got, err := next(far)
			if c.want == nil && err == nil {
				t.Error("got no error, want one")
			}
			if c.want != nil && (err != nil || !bytes.Equal(got, c.want)) {
				t.Errorf("got %d bytes and %v, want %d", len(got), err, len(c.want))
			}
		})
	}
}
