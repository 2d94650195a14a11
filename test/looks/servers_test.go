package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"culvert/client/front"
	"culvert/client/look"
	"culvert/internal/link"
)

// An nginx takes whichever group its operator has named, of those that a ClientHello has a key for and of those that it has none.
func TestEachLookShakesHandsWithNginxByWhateverGroup(t *testing.T) {
	if os.Getenv("CULVERT_REAL") == "" {
		t.Skip("CULVERT_REAL is not set: it takes nginx")
	}
	t.Parallel()
	const (
		both  = "ssl_protocols TLSv1.2 TLSv1.3;"
		old   = "ssl_protocols TLSv1.2;"
		byRSA = "ssl_certificate rsa.pem; ssl_certificate_key rsa-key.pem;"
		byEC  = "ssl_certificate cert.pem; ssl_certificate_key key.pem;"
	)
	for settings, again := range map[string][]string{ // by which looks a second ClientHello is asked for, so that no ticket is offered
		both + byEC + "ssl_ecdh_curve prime256v1;":  {"chromium"},
		both + byRSA + "ssl_ecdh_curve prime256v1;": {"chromium"},
		both + byEC + "ssl_ecdh_curve X25519;":      nil,
		both + byEC + "ssl_ecdh_curve secp384r1;":   look.Names(),
		old + byEC:  nil,
		old + byRSA: nil,
		old + byEC + "ssl_ecdh_curve prime256v1;": nil,
		old + byRSA + "ssl_ecdh_curve secp384r1;": nil,
	} {
		t.Run(settings, func(t *testing.T) {
			t.Parallel()
			server := newChoosy(t, settings)
			for _, name := range look.Names() {
				d := &front.Dialer{Look: name, Roots: server.roots}
				for i := range 2 {
					conn, way, err := front.Open(t.Context(), d, server.front, readPage)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						break
					}
					conn.Close()
					if way.State.DidResume != (i > 0 && !slices.Contains(again, name)) {
						t.Errorf("%s, connection %d: resumed is %v", name, i+1, way.State.DidResume)
					}
				}
				if err := getPage(t, d, server.front, "/"); err != nil {
					t.Errorf("%s, a page: %v", name, err)
				}
			}
		})
	}
}

// getPage asks for a page by a connection for pages.
func getPage(t *testing.T, d *front.Dialer, f link.Front, target string) error {
	t.Helper()
	conn, err := front.OpenPage(t.Context(), d, f, func(c net.Conn) net.Conn { return c })
	if err != nil {
		return err
	}
	defer conn.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+siteName+target, nil)
	must(t, err)
	answer, err := conn.RoundTrip(req)
	if err != nil {
		return err
	}
	if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "hi" {
		return fmt.Errorf("got %q, %w, want hi", text, err)
	}
	return nil
}

// choosyConf is of an nginx that answers one thing.
const choosyConf = `user root; daemon off; pid %[1]s/pid; error_log stderr error;
events {}
http {
	access_log off;
	server {
		listen 127.0.0.1:%[2]d ssl http2;
		%[3]s
		location / { return 200 hi; }
	}
}`

// newChoosy starts an nginx with settings of its own, which name cert.pem or rsa.pem.
func newChoosy(t *testing.T, settings string) *openSSL {
	t.Helper()
	s, err := newSite(0) // for its certificate and its port
	must(t, err)
	s.close()
	key, err := x509.MarshalPKCS8PrivateKey(s.cert.PrivateKey)
	must(t, err)
	rsaCert, rsaKey := newRSA(t)
	conf := fmt.Sprintf(choosyConf, "%[1]s", s.port(), settings)
	startNginx(t, s.port(), conf, map[string][]byte{
		"cert.pem": certPEM(s.cert.Certificate[0]), "key.pem": keyPEM(key), "rsa.pem": certPEM(rsaCert), "rsa-key.pem": keyPEM(rsaKey),
	})
	roots := s.roots(t)
	roots.AppendCertsFromPEM(certPEM(rsaCert))
	return &openSSL{linkTo(t, s).Fronts[0], roots}
}

// newRSA is a certificate for the site by an RSA key, which nobody else has signed, and the key.
func newRSA(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{siteName}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	key, err = x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	return cert, key
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
func keyPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// startNginx has one run with files beside its settings, in which %[1]s is their folder, and returns that once it answers at a port.
func startNginx(t *testing.T, port int, conf string, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	files["nginx.conf"] = fmt.Appendf(nil, conf, dir)
	old := time.Now().Add(-30 * 24 * time.Hour)
	for name, text := range files {
		path := filepath.Join(dir, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, text, 0o644))
		must(t, os.Chtimes(path, old, old))
	}
	cmd := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin")
	must(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Signal(os.Interrupt); cmd.Wait() })
	for range 100 {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return dir
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("nginx does not answer (apt-get install nginx)")
	return ""
}
