package listener

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"time"
)

// certificateLife is below the 825 days that Apple's systems allow for a
// server's certificate (https://support.apple.com/103769).
const certificateLife = 824 * 24 * time.Hour

// NewChatCertificate makes the certificate for apps that use TLS for chat:
// ECDSA P-256, self-signed, without a name of ours, good for the names and
// addresses given, from a day before now on, as clocks are often wrong. The
// app takes any certificate, as the official proxy's is self-signed too.
func NewChatCertificate(now time.Time, hosts ...string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make chat key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	template := chatTemplate(serial, now.Add(-24*time.Hour), hosts)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make chat certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read chat certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func chatTemplate(serial *big.Int, from time.Time, hosts []string) *x509.Certificate {
	t := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "localhost"},
		NotBefore:             from,
		NotAfter:              from.Add(certificateLife),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}

func chatTLSConfig(c *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*c}, MinVersion: tls.VersionTLS12}
}

// ChatConn is a connection of an app that uses TLS for chat, which ends here:
// reads and writes see what is inside. CloseWrite is TLS's.
type ChatConn struct {
	*tls.Conn
	below  net.Conn
	aborts atomic.Bool
}

func newChatConn(below net.Conn, hello []byte, cfg *tls.Config) *ChatConn {
	return &ChatConn{Conn: tls.Server(&replay{below, io.MultiReader(bytes.NewReader(hello), below)}, cfg), below: below}
}

// SetLinger with 0 makes Close reset the connection, as for a *net.TCPConn,
// and leave out TLS's farewell: an aborted stream must not look complete.
func (c *ChatConn) SetLinger(seconds int) error {
	c.aborts.Store(seconds == 0)
	if l, ok := c.below.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return nil
}

// Close closes the connection, with TLS's farewell unless it was aborted.
func (c *ChatConn) Close() error {
	if c.aborts.Load() {
		return c.below.Close()
	}
	return c.Conn.Close()
}

// replay is a connection from which some bytes were read already.
type replay struct {
	net.Conn
	all io.Reader // those bytes, then the connection
}

func (r *replay) Read(b []byte) (int, error) { return r.all.Read(b) }
