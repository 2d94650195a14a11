package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

// certify makes the certificate of the edge, by which links pin it.
func (w *world) certify() {
	w.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(w, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge.example"}, DNSNames: []string{"edge.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(w, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(w, err)
	w.cert = write(w, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), w.dir, "cert.pem")
	write(w, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), w.dir, "key.pem")
}
