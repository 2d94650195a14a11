// Package acme holds no code: Let's Encrypt's own server for tests, Pebble, signs what a server of ours asks it for.
package acme

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"culvert/internal/serve"
	"culvert/test/ports"
)

const name = "origin.example"

// TestMain has the servers here trust httptest's certificate, which Pebble has.
func TestMain(m *testing.M) {
	server := httptest.NewTLSServer(nil)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	server.Close()
	http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	os.Setenv("PEBBLE_VA_NOSLEEP", "1")
	os.Exit(m.Run())
}

// resolver answers every question with 127.0.0.1, over TCP, as Pebble asks.
func resolver(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{Listener: ln, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		answer := new(dns.Msg).SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			answer.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1)}}
		}
		w.WriteMsg(answer)
	})}
	go s.ActivateAndServe()
	t.Cleanup(func() { s.Shutdown() })
	return ln.Addr().String()
}

// pebble is a certificate authority that looks for names at that port, until it goes away.
func pebble(t *testing.T, port int) (directory url.URL, authority *ca.CAImpl, leave func()) {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	authority = ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {}})
	front := wfe.New(quiet, store, va.New(quiet, 1, port, true, resolver(t), store), authority, []string{"pebble.example"}, true, false, 1, 1)
	server := httptest.NewTLSServer(front.Handler())
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL + "/dir")
	if err != nil {
		t.Fatal(err)
	}
	return *at, authority, server.Close
}

// serverOf listens with a certificate by ACME.
func serverOf(t *testing.T, at string, directory url.URL, folder string, to io.Writer) {
	t.Helper()
	settings := serve.TLS{ACME: serve.ACME{Name: name, Authority: serve.URL{URL: directory}, Folder: folder}}
	ln, err := settings.Listen(serve.Address(at), true, nil, serve.NewFiles(slog.New(slog.NewTextHandler(to, nil))))
	if err != nil {
		t.Fatal(err)
	}
	server := http.Server{Handler: http.NotFoundHandler()}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
}

// shown is the certificate that a stranger sees who asks for host by protocols.
func shown(at, host string, protocols ...string) (*x509.Certificate, error) {
	c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, ServerName: host, NextProtos: protocols})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// await waits until the server shows a certificate that authority has signed.
func await(t *testing.T, at string, authority *ca.CAImpl) *x509.Certificate {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(authority.GetRootCert(0).Cert)
	between := x509.NewCertPool()
	between.AddCert(authority.GetIntermediateCert(0).Cert)
	for late := time.After(20 * time.Second); ; {
		cert, err := shown(at, name)
		if err == nil {
			_, err = cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between})
		}
		if err == nil {
			return cert
		}
		select {
		case <-late:
			t.Fatal(err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A server gets a certificate for its name from an authority that comes to look, shows it to all who ask for
// whatever name, and has it at once when it is started again, also while the authority is away.
func TestAServerGetsItsCertificateAndKeepsIt(t *testing.T) {
	t.Parallel()
	at := ports.Loopback()
	directory, authority, leave := pebble(t, int(netip.MustParseAddrPort(at).Port()))
	folder := t.TempDir()
	serverOf(t, at, directory, folder, t.Output())
	first := await(t, at, authority)
	for _, other := range []string{"", "another.example"} {
		if cert, err := shown(at, other, "h2"); err != nil || !cert.Equal(first) {
			t.Errorf("asked for %q: got %v, want the same certificate", other, err)
		}
	}
	leave()
	again := ports.Loopback()
	serverOf(t, again, directory, folder, io.Discard)
	if cert := await(t, again, authority); !cert.Equal(first) {
		t.Error("got another certificate after a restart")
	}
}

// Whoever asks as an authority does, while there is no challenge, is refused in the words in which any server refuses a
// protocol that it does not know.
func TestWhoAsksForAChallengeThatThereIsNotSeesAnOrdinaryServer(t *testing.T) {
	t.Parallel()
	at := ports.Loopback()
	serverOf(t, at, url.URL{Scheme: "http", Host: "127.0.0.1:1"}, t.TempDir(), io.Discard)
	for _, host := range []string{name, "another.example"} {
		if _, err := shown(at, host, "acme-tls/1"); err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("%s: got %v, want what is said of any protocol", host, err)
		}
	}
	if cert, err := shown(at, name, "h2"); err != nil || cert.Subject.CommonName != name {
		t.Errorf("got %v, want a certificate that nobody has signed", err)
	}
}

// lines is a log that may be read while it is written.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(bytes.TrimSpace(b)); return len(b), nil }

// An authority that does not reach the server is quoted, with what to try.
func TestARefusalSaysWhatToTry(t *testing.T) {
	t.Parallel()
	at := ports.Loopback()
	directory, _, _ := pebble(t, 1) // where nobody listens
	said := make(lines, 9)
	serverOf(t, at, directory, t.TempDir(), said)
	select {
	case line := <-said:
		if !strings.Contains(line, "cannot get a certificate") || !strings.Contains(line, "port 443") || !strings.Contains(line, "Failed to connect") {
			t.Errorf("got %s, want the reason", line)
		}
	case <-time.After(30 * time.Second):
		t.Error("nothing was said")
	}
}
