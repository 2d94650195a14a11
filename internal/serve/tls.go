package serve

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"culvert/internal/netpoll"
)

// TLSFiles are the settings of a listener's certificate.
type TLSFiles struct {
	Cert string `env:"CULVERT_TLS_CERT" help:"PEM file with the certificate chain; without it the listener speaks plain HTTP, as behind a CDN. Read again when it changes" try:"/etc/culvert/cert.pem"`
	Key  string `env:"CULVERT_TLS_KEY" help:"PEM file with the certificate's private key" try:"/etc/culvert/key.pem"`
}

// Check wants both or none, and files that can be used.
func (f TLSFiles) Check() []SettingError {
	switch {
	case f.Cert != "" && f.Key == "":
		return []SettingError{{"CULVERT_TLS_KEY", "is not set, but CULVERT_TLS_CERT is", "CULVERT_TLS_KEY=/etc/culvert/key.pem, or neither of them"}}
	case f.Key != "" && f.Cert == "":
		return []SettingError{{"CULVERT_TLS_CERT", "is not set, but CULVERT_TLS_KEY is", "CULVERT_TLS_CERT=/etc/culvert/cert.pem, or neither of them"}}
	}
	if _, err := f.Config(slog.New(slog.DiscardHandler)); err != nil {
		return []SettingError{{"CULVERT_TLS_CERT", err.Error(), "a certificate chain and its key in PEM form, readable by this user"}}
	}
	return nil
}

// Listen listens at an address, with TLS if a certificate is set. wrap, which
// may be nil, prepares the listener beneath it.
func (f TLSFiles) Listen(at Address, wrap func(net.Listener) net.Listener, log *slog.Logger) (net.Listener, error) {
	return f.listen(net.ListenConfig{}, at, wrap, log)
}

// ListenShared is Listen at an address where another process of the same user
// may listen as well, where the system can do that. New connections go to
// either until one of them stops.
func (f TLSFiles) ListenShared(at Address, wrap func(net.Listener) net.Listener, log *slog.Logger) (net.Listener, error) {
	return f.listen(net.ListenConfig{Control: netpoll.ShareAddress}, at, wrap, log)
}

func (f TLSFiles) listen(by net.ListenConfig, at Address, wrap func(net.Listener) net.Listener, log *slog.Logger) (net.Listener, error) {
	secure, err := f.Config(log)
	if err != nil {
		return nil, err
	}
	listener, err := by.Listen(context.Background(), "tcp", string(at))
	if err != nil {
		return nil, fmt.Errorf("CULVERT_LISTEN: %w", err)
	}
	if wrap != nil {
		listener = wrap(listener)
	}
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	return listener, nil
}

// Config returns nil if no certificate is set. It offers HTTP/1.1 alone, as
// classic WebSockets need it, and full records from the first byte on.
func (f TLSFiles) Config(log *slog.Logger) (*tls.Config, error) { return f.config(log, time.Now) }

func (f TLSFiles) config(log *slog.Logger, now func() time.Time) (*tls.Config, error) {
	if f.Cert == "" {
		return nil, nil
	}
	cert, err := watch("certificate", []string{f.Cert, f.Key}, f.load, log, now)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:                  tls.VersionTLS12,
		NextProtos:                  []string{"http/1.1"},
		DynamicRecordSizingDisabled: true,
		GetCertificate:              func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert.Get(), nil },
	}, nil
}

func (f TLSFiles) load() (*tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// Roots reads certificates that may sign, or are, a server's. An empty name is
// the system's roots: nil.
func Roots(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("holds no PEM certificate")
	}
	return pool, nil
}
