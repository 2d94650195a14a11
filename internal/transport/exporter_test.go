package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"culvert/internal/selfsigned"
)

// exports is what both ends of a TLS connection export that has the server's settings; nil: Exporter refuses.
func exports(t *testing.T, server *tls.Config) (near, far []byte) {
	t.Helper()
	cert, err := selfsigned.Make(time.Now(), time.Hour, "origin.test")
	if err != nil {
		t.Fatal(err)
	}
	server.Certificates = []tls.Certificate{*cert}
	a, b := net.Pipe()
	c, s := tls.Client(a, &tls.Config{InsecureSkipVerify: true, CurvePreferences: server.CurvePreferences}), tls.Server(b, server)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.HandshakeContext(ctx) }()
	if err := c.HandshakeContext(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	of := func(conn net.Conn) []byte {
		export := Exporter(&binarySocket{writer: newMessageWriter(conn)})
		if export == nil {
			return nil
		}
		out, err := export("EXPORTER-test", []byte("token"), 32)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	return of(c), of(s)
}

func TestOnlyTLSAsStrongAsTheSealExports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config *tls.Config
		want   bool
	}{
		"1.3, X25519":         {&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, true},
		"1.3, X25519MLKEM768": {&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}, true},
		"1.3, P-256":          {&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, false},
		"1.2":                 {&tls.Config{MaxVersion: tls.VersionTLS12}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := exports(t, c.config)
			if got := near != nil && far != nil; got != c.want || !bytes.Equal(near, far) {
				t.Errorf("got %x and %x, want any: %t", near, far, c.want)
			}
		})
	}
	if a, _ := exports(t, &tls.Config{}); bytes.Equal(a, first(exports(t, &tls.Config{}))) {
		t.Error("two connections export the same")
	}
}

func first(a, _ []byte) []byte { return a }

// Where a proxy has ended TLS there is none of ours.
func TestAPlainConnectionExportsNothing(t *testing.T) {
	t.Parallel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Exporter(&binarySocket{writer: newMessageWriter(a)}) != nil || Exporter(&textSocket{}) != nil {
		t.Error("something is exported")
	}
}
