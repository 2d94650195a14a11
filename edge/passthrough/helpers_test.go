package passthrough

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience bounds every wait of a test; nothing that works takes as long.
const patience = 10 * time.Second

// rig is an edge in front of an origin, each over TLS or not.
type rig struct {
	edge   *httptest.Server
	origin *httptest.Server
	proxy  *Proxy
	roots  *x509.CertPool // of the edge
}

func newRig(t testing.TB, secure bool, origin http.Handler, o Options) *rig {
	t.Helper()
	r := &rig{origin: serve(t, secure, origin), roots: x509.NewCertPool()}
	if secure {
		o.Roots = x509.NewCertPool()
		o.Roots.AddCert(r.origin.Certificate())
	}
	r.proxy = newProxy(t, r.origin.URL, o)
	r.edge = serve(t, secure, r.proxy)
	if secure {
		r.roots.AddCert(r.edge.Certificate())
	}
	return r
}

func newProxy(t testing.TB, to string, o Options) *Proxy {
	t.Helper()
	where, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	p := New(where, o)
	t.Cleanup(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		p.Drain(gone)
	})
	return p
}

func serve(t testing.TB, secure bool, h http.Handler) *httptest.Server {
	srv := httptest.NewUnstartedServer(h)
	srv.TLS = &tls.Config{NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
	if secure {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv
}

// dial connects to the edge as a client does.
func (r *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.edge.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if r.edge.TLS != nil && strings.HasPrefix(r.edge.URL, "https:") {
		c = tls.Client(c, &tls.Config{ServerName: "example.com", RootCAs: r.roots, DynamicRecordSizingDisabled: true})
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

const upgrade = "GET /door HTTP/1.1\r\nHost: edge.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: session=token\r\n"

// open makes a socket by hand: what follows the answer's head is raw.
func (r *rig) open(t testing.TB) (net.Conn, *bufio.Reader) {
	t.Helper()
	c := r.dial(t)
	return c, ask(t, c, upgrade+"\r\n", http.StatusSwitchingProtocols)
}

func ask(t testing.TB, c net.Conn, request string, want int) *bufio.Reader {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != want {
		t.Fatalf("got %s, want %d", res.Status, want)
	}
	return in
}

// rawDoor switches protocols and hands the connection to do, with what was
// written before the switch still to be read from the reader.
func rawDoor(greeting string, do func(net.Conn, *bufio.Reader)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, b, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"+greeting)
		do(c, b.Reader)
	})
}

// echoDoor is coder/websocket's server.
func echoDoor(w http.ResponseWriter, r *http.Request) {
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

// both runs a test over plain TCP and over TLS.
func both(t *testing.T, test func(t *testing.T, secure bool)) {
	t.Parallel()
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, secure)
		})
	}
}
