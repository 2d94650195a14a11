package selfsigned

import (
	"bytes"
	"testing"
	"time"
)

func TestACertificateIsGoodForItsNames(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cert, err := Make(now, 10*24*time.Hour, "localhost", "127.0.0.1", "home.example", "2001:db8::1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"localhost", "127.0.0.1", "home.example", "2001:db8::1"} {
		if err := cert.Leaf.VerifyHostname(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore); got != 10*24*time.Hour || !cert.Leaf.NotBefore.Before(now) {
		t.Errorf("valid for %v from %v, want ten days from before now", got, cert.Leaf.NotBefore)
	}
	if bytes.Contains(cert.Leaf.Raw, []byte("ulvert")) {
		t.Error("the certificate names this project")
	}
}
