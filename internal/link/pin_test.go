package link

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
)

func TestThePinIsOfTheFirstCertificatesKey(t *testing.T) {
	t.Parallel()
	var file []byte
	var first []byte // the public key in DER
	for i := range 2 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1))}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, _ = x509.MarshalPKIXPublicKey(&key.PublicKey)
			file = append(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")})...)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	got, err := PinPEM(file)
	if want := Pin(sha256.Sum256(first)); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if again, err := parsePin(got.String()); err != nil || again != got {
		t.Errorf("got %s, %v, want %s", again, err, got)
	}
}

func TestAFileWithoutACertificateHasNoPin(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"": "no certificate",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n": "no certificate",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "read certificate",
	} {
		if p, err := PinPEM([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v, want %q", file, p, err, want)
		}
	}
}
