package serve

import (
	"crypto/tls"
	"log/slog"
	"os"
	"testing"
	"time"
)

// What an authority has signed is not shown once another is named, and is there when it is named again.
func TestEachAuthorityHasACertificateOfItsOwn(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	by := func(authority string) *applicant {
		a := &applicant{ACME: ACME{Name: "origin.example", Folder: folder}, log: slog.New(slog.DiscardHandler)}
		if err := a.Authority.UnmarshalText([]byte(authority)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	const trial, another = "https://acme-staging-v02.api.letsencrypt.org/directory", "https://pebble.example:14000/dir"
	signed := map[string]*tls.Certificate{}
	for _, authority := range []string{letsEncrypt, trial, another} {
		a := by(authority)
		if a.show(); a.got.Load() != nil {
			t.Errorf("%s: got another's certificate", authority)
		}
		cert, err := SelfSigned(time.Now(), a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := writePair(a.certificate(), cert.Certificate, cert.PrivateKey); err != nil {
			t.Fatal(err)
		}
		signed[authority] = cert
	}
	for authority, want := range signed {
		a := by(authority)
		if a.show(); a.got.Load() == nil || !a.got.Load().Leaf.Equal(want.Leaf) {
			t.Errorf("%s: got no certificate, or another's", authority)
		}
	}
	if _, err := os.Stat(by(letsEncrypt).file(certificateFile)); err != nil {
		t.Errorf("got %v, want the file that there always was", err)
	}
}
