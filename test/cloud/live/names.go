//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// names are what resolves here, and who certifies it: the files hosts and
// authorities of a folder, which are bound to the system's.
type names struct {
	folder string
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey

	mu    sync.Mutex // guards the following
	known map[string]*tls.Certificate
}

func newNames(folder string) (*names, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	n := &names{folder: folder, key: key, known: map[string]*tls.Certificate{}}
	template := certificate("Stand-in for public authorities")
	template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if n.ca, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return n, n.trust(n.ca)
}

func certificate(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62)) // never fails, since Go 1.24
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// trust adds to the public authorities.
func (n *names) trust(ca *x509.Certificate) error {
	return n.add("authorities", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})))
}

// resolve lets a name lead to an address.
func (n *names) resolve(name, address string) error {
	return n.add("hosts", address+" "+name+"\n")
}

// add keeps the file that it adds to, as others have bound it elsewhere.
func (n *names) add(file, text string) error {
	f, err := os.OpenFile(filepath.Join(n.folder, file), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// offer lets a name lead to the fronts, with a certificate of its own.
func (n *names) offer(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.known[name] != nil {
		return nil
	}
	template := certificate(name)
	template.DNSNames, template.ExtKeyUsage = []string{name}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, n.ca, n.key.Public(), n.key)
	if err != nil {
		return err
	}
	n.known[name] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: n.key}
	return n.resolve(name, frontsIP)
}

// certificateFor is for a TLS server of all names.
func (n *names) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.known[hello.ServerName]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%q: %w", hello.ServerName, errNotThere)
}
