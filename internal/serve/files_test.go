package serve

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func writeFile(t *testing.T, name string, content []byte, changed time.Time) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, changed, changed); err != nil {
		t.Fatal(err)
	}
}

// writeCert makes a certificate for name.
func writeCert(t *testing.T, f TLSFiles, name string, changed time.Time) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, f.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), changed)
	writeFile(t, f.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), changed)
}

func TestANewCertificateIsUsedAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	f := TLSFiles{filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")}
	then := &clock{time.Now()}
	writeCert(t, f, "first", then.at)
	var log bytes.Buffer
	files := &Files{log: slog.New(slog.NewTextHandler(&log, nil)), now: then.now}
	cfg, err := f.config(files)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(step, want string) {
		t.Helper()
		cert, err := cfg.GetCertificate(&tls.ClientHelloInfo{})
		if err != nil || cert.Leaf.Subject.CommonName != want {
			t.Errorf("%s: got %v and %v, want %q", step, cert.Leaf.Subject, err, want)
		}
	}
	expect("at first", "first")
	writeCert(t, f, "second", then.at.Add(time.Minute))
	then.at = then.at.Add(lookAgain - 1)
	expect("too early to look again", "first")
	then.at = then.at.Add(1)
	expect("after the change", "second")
	writeFile(t, f.Cert, []byte("not a certificate"), then.at.Add(2*time.Minute))
	then.at = then.at.Add(lookAgain)
	expect("with a broken file", "second")
	if !strings.Contains(log.String(), "the old one stays") {
		t.Errorf("got log %q, want the broken file named", log.String())
	}
	os.Remove(f.Cert)
	then.at = then.at.Add(lookAgain)
	expect("without the file", "second")
	writeCert(t, f, "third", then.at.Add(3*time.Minute))
	then.at = then.at.Add(lookAgain)
	expect("after the repair", "third")
	writeCert(t, f, "fourth", then.at.Add(3*time.Minute))
	files.Reread()
	expect("told to read it again", "fourth")
	os.Remove(f.Cert)
	files.Reread()
	expect("told to, without the file", "fourth")
}

func TestCertificateSettings(t *testing.T) {
	t.Parallel()
	good := TLSFiles{filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")}
	writeCert(t, good, "x", time.Now())
	for name, c := range map[string]struct {
		files TLSFiles
		blame string
	}{
		"none":        {TLSFiles{}, ""},
		"both":        {good, ""},
		"no key":      {TLSFiles{Cert: good.Cert}, "CULVERT_TLS_KEY"},
		"no cert":     {TLSFiles{Key: good.Key}, "CULVERT_TLS_CERT"},
		"not there":   {TLSFiles{"/none", "/none"}, "CULVERT_TLS_CERT"},
		"exchanged":   {TLSFiles{good.Key, good.Cert}, "CULVERT_TLS_CERT"},
		"cert is key": {TLSFiles{good.Cert, good.Cert}, "CULVERT_TLS_CERT"},
	} {
		var blame string
		for _, wrong := range c.files.Check() {
			blame = wrong.Name
		}
		if blame != c.blame {
			t.Errorf("%s: got %q, want %q", name, blame, c.blame)
		}
	}
}

func TestRoots(t *testing.T) {
	t.Parallel()
	f := TLSFiles{filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")}
	writeCert(t, f, "x", time.Now())
	if pool, err := Roots(""); pool != nil || err != nil {
		t.Errorf("got %v and %v, want the system's", pool, err)
	}
	if pool, err := Roots(f.Cert); pool == nil || err != nil {
		t.Errorf("got %v and %v, want the certificate", pool, err)
	}
	for _, bad := range []string{f.Key, "/none"} {
		if _, err := Roots(bad); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}
