package ws

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"culvert/edge/passthrough"
)

// patience bounds every wait of a test; nothing that works takes as long.
const patience = 10 * time.Second

// serve serves h until the test ends, over TLS or not.
func serve(t *testing.T, secure bool, h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// trusted is whoever signed the server's certificate, if it has one.
func trusted(s *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	if c := s.Certificate(); c != nil {
		roots.AddCert(c)
	}
	return roots
}

// echo is coder/websocket's server.
func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	for {
		kind, b, err := c.Read(context.Background())
		if err != nil || c.Write(context.Background(), kind, b) != nil {
			return
		}
	}
}

// newEdge is an edge in front of an origin that echoes.
func newEdge(t *testing.T, secure bool) *httptest.Server {
	t.Helper()
	origin := serve(t, secure, http.HandlerFunc(echo))
	to, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := passthrough.New(to, passthrough.Options{Roots: trusted(origin)})
	t.Cleanup(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		p.Drain(gone)
	})
	return serve(t, secure, p)
}

func TestMessagesOfAllSizesCrossTheEdgeUnchanged(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edge := newEdge(t, secure)
			dialer := ws.Dialer{Timeout: patience, TLSConfig: &tls.Config{RootCAs: trusted(edge), ServerName: "example.com"}}
			c, early, _, err := dialer.Dial(context.Background(), "ws"+strings.TrimPrefix(edge.URL, "http"))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if early != nil {
				t.Fatal("got bytes before asking")
			}
			c.SetDeadline(time.Now().Add(patience))
			for _, size := range []int{0, 1, 2, 505, 506, 507, 511, 512, 513, 4096, 16383, 16384, 16385, 65536, 65537, 300_000} {
				want := make([]byte, size)
				rand.Read(want)
				if err := wsutil.WriteClientBinary(c, want); err != nil {
					t.Fatal(err)
				}
				got, err := wsutil.ReadServerBinary(c)
				if err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%d bytes: got others back", size)
				}
			}
		})
	}
}
