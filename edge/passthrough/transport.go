package passthrough

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// How long the origin may take. An edge and its origin are well connected, so
// what takes longer is down, and the site must not come conspicuously late.
const (
	dialPatience      = 5 * time.Second
	handshakePatience = 5 * time.Second
	headerPatience    = 10 * time.Second
)

// idleAtOrigin is well below the 120 s after which the origin closes an idle
// connection, so that a request is not sent into one that is closing.
const idleAtOrigin = 60 * time.Second

// newTransport speaks HTTP/1.1 only (classic WebSockets need it) and asks no
// proxy. The origin's certificate is always verified, against the URL's host.
func newTransport(roots *x509.CertPool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	dialer := net.Dialer{Timeout: dialPatience, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	return &http.Transport{
		DialContext: dialer.DialContext,
		Protocols:   protocols,
		TLSClientConfig: &tls.Config{
			RootCAs:                     roots,
			MinVersion:                  tls.VersionTLS12,
			NextProtos:                  []string{"http/1.1"},
			DynamicRecordSizingDisabled: true, // 64 KiB writes go out as four records from the first on
			ClientSessionCache:          tls.NewLRUClientSessionCache(16),
		},
		TLSHandshakeTimeout:    handshakePatience,
		ResponseHeaderTimeout:  headerPatience,
		MaxResponseHeaderBytes: 16 << 10,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        idleAtOrigin,
		DisableCompression:     true,
	}
}

// reason names a failure without the addresses that network errors hold.
func reason(err error) string {
	var op *net.OpError
	var name *net.DNSError
	var timeout net.Error
	switch {
	case errors.Is(err, errOrigin):
		return errOrigin.Error()
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &name):
		return "its name does not resolve"
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return "its certificate is not valid: check CULVERT_ORIGIN_CA"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	}
	return "no valid answer"
}
