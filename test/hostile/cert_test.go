package hostile

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	"culvert/internal/selfsigned"
)

// certify makes the certificate of the edge, by which links pin it.
func (w *world) certify() {
	w.Helper()
	cert, err := selfsigned.Make(time.Now(), 48*time.Hour, "edge.example")
	must(w, err)
	private, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	must(w, err)
	w.cert = write(w, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})), w.dir, "cert.pem")
	write(w, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), w.dir, "key.pem")
}
