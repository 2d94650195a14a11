package standin

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"filippo.io/edwards25519"
	"github.com/flynn/noise"
	"google.golang.org/protobuf/encoding/protowire"
)

var suite = noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)

// makeChain makes the server's key and a chain like WhatsApp's: root, an
// intermediate of two years, a leaf of 126 days.
func (s *Server) makeChain() error {
	root, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	inter, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make intermediate: %w", err)
	}
	if s.static, err = suite.GenerateKeypair(rand.Reader); err != nil {
		return fmt.Errorf("make server key: %w", err)
	}
	s.root = [32]byte(root.PublicKey().Bytes())
	now := time.Now()
	leaf := Certificate{Serial: 2, Issuer: 1, Key: s.static.Public, From: now.Add(-time.Hour), To: now.AddDate(0, 0, 126)}
	intermediate := Certificate{Serial: 1, Key: inter.PublicKey().Bytes(), From: now.Add(-time.Hour), To: now.AddDate(2, 0, 0)}
	s.chain = Chain(leaf.Sign(inter), intermediate.Sign(root))
	return nil
}

// Certificate is what a NoiseCertificate of WhatsApp says of a key: the serials
// of itself and of its issuer, and the time in which it holds.
type Certificate struct {
	Serial, Issuer uint64
	Key            []byte // a Curve25519 public key of 32 bytes
	From, To       time.Time
}

// Sign is c as a NoiseCertificate {1 details, 2 signature} of issuer.
func (c Certificate) Sign(issuer *ecdh.PrivateKey) []byte {
	var d []byte
	d = appendUint(d, 1, c.Serial)
	d = appendUint(d, 2, c.Issuer)
	d = appendBytes(d, 3, c.Key)
	d = appendUint(d, 4, uint64(c.From.Unix()))
	d = appendUint(d, 5, uint64(c.To.Unix()))
	return appendBytes(appendBytes(nil, 1, d), 2, Sign(issuer, d))
}

// Chain is a CertChain {1 leaf, 2 intermediate} of two signed certificates.
func Chain(leaf, intermediate []byte) []byte {
	return appendBytes(appendBytes(nil, 1, leaf), 2, intermediate)
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// Sign signs msg as Signal's curve25519 signatures do: Ed25519 with the scalar
// of the X25519 key, and the sign of its point in the signature's top bit.
func Sign(key *ecdh.PrivateKey, msg []byte) []byte {
	a, err := edwards25519.NewScalar().SetBytesWithClamping(key.Bytes())
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	public := new(edwards25519.Point).ScalarBaseMult(a).Bytes()
	var random [64]byte
	rand.Read(random[:]) // never fails, since Go 1.24
	r := hashScalar(key.Bytes(), msg, random[:])
	point := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	h := hashScalar(point, public, msg)
	sig := append(point, edwards25519.NewScalar().MultiplyAdd(h, a, r).Bytes()...)
	sig[63] |= public[31] & 0x80
	return sig
}

func hashScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic(err) // the hash has 64 bytes
	}
	return s
}

// makeCertificate makes the media server's TLS certificate and its authority.
func (s *Server) makeCertificate() error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make authority: %w", err)
	}
	ca := template("Culvert stand-in authority")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return fmt.Errorf("sign authority: %w", err)
	}
	parsed, err := x509.ParseCertificate(caDER)
	if err != nil {
		return fmt.Errorf("read authority: %w", err)
	}
	s.ca, s.cas = caDER, x509.NewCertPool()
	s.cas.AddCert(parsed)
	return s.makeLeaf(ca, caKey)
}

func (s *Server) makeLeaf(ca *x509.Certificate, caKey *ecdsa.PrivateKey) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make media key: %w", err)
	}
	leaf := template("*.whatsapp.net")
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{
		"whatsapp.net", "*.whatsapp.net", "*.cdn.whatsapp.net", "*.fna.whatsapp.net", "whatsapp.com", "*.whatsapp.com", "wa.me",
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return fmt.Errorf("sign media certificate: %w", err)
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return nil
}

// template is a certificate of one year; CreateCertificate chooses its serial.
func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.AddDate(1, 0, 0),
	}
}
