package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"culvert/internal/serve"
	"culvert/test/ports"
)

// writeCertificate makes a certificate for name with its key, in one file.
func writeCertificate(t *testing.T, file, name string) {
	t.Helper()
	cert, err := serve.SelfSigned(time.Now(), name)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantLine waits for a line of the log that holds all words.
func (p *process) wantLine(t *testing.T, words ...string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				t.Fatalf("the process has ended: %v", <-p.ended)
			}
			found := true
			for _, word := range words {
				found = found && strings.Contains(line, word)
			}
			if found {
				return
			}
		case <-late:
			t.Fatalf("no line with %q in the log", words)
		}
	}
}

// A hangup ends nothing, however often it comes, and has the certificate, the
// revoked users and the lists of fronts read again at once. Of a file that is of no use the origin says so,
// and goes on with what it has.
func TestAHangupHasAnOriginReadItsFilesAgain(t *testing.T) {
	t.Parallel()
	cert, revoked, at := filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "revoked"), ports.Loopback()
	fronts := filepath.Join(t.TempDir(), "fronts")
	writeCertificate(t, cert, "first")
	if err := errors.Join(os.WriteFile(revoked, []byte("3"), 0o600), os.WriteFile(fronts, []byte("# nobody is told of any\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	p := startOrigin(t, "CULVERT_SECRET_FILE="+secretFile(t), "CULVERT_LISTEN="+at, "CULVERT_DRAIN=1s",
		"CULVERT_TLS_CERT="+cert, "CULVERT_TLS_KEY="+cert, "CULVERT_REVOKED="+revoked, "CULVERT_FRONTS="+fronts)
	for _, name := range []string{"second", "third", "broken"} {
		said, want := "read again", name
		if name == "broken" {
			said, want = "the old one stays", "third"
			for _, file := range []string{cert, revoked, fronts} {
				if err := os.WriteFile(file, []byte("of no use"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			writeCertificate(t, cert, name)
		}
		p.Process.Signal(syscall.SIGHUP)
		p.wantLine(t, said, "CULVERT_FRONTS")
		p.wantLine(t, said, "CULVERT_REVOKED")
		p.wantLine(t, said, "certificate")
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("got the certificate %q, want %q", got, want)
		}
		c.Close()
	}
	p.Process.Signal(syscall.SIGTERM)
	p.wantEnd(t)
}
