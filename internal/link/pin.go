package link

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
)

// Pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (as in RFC 7469,
// section 2.4). It stays the same when a certificate is renewed for its key.
type Pin [sha256.Size]byte

// PinOf is the pin of cert.
func PinOf(cert *x509.Certificate) Pin { return sha256.Sum256(cert.RawSubjectPublicKeyInfo) }

// PinPEM is the pin of the first certificate in a PEM file, where the server's
// own stands.
func PinPEM(file []byte) (Pin, error) {
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return Pin{}, errors.New("no certificate in it: a PEM file with BEGIN CERTIFICATE is needed")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Pin{}, fmt.Errorf("read certificate: %w", err)
		}
		return PinOf(cert), nil
	}
}

// String is 64 lower-case hexadecimal digits.
func (p Pin) String() string { return hex.EncodeToString(p[:]) }

func parsePin(s string) (p Pin, err error) {
	if n, err := hex.Decode(p[:], []byte(s[:min(len(s), 2*len(p))])); err != nil || n != len(p) || len(s) != 2*len(p) {
		return Pin{}, errors.New("a pin is 64 hexadecimal digits: the SHA-256 of the certificate's public key")
	}
	return p, nil
}
