package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"culvert/internal/whatsapp"
	"culvert/test/standin"
)

// ErrMedia means that what arrived at the stand-in is not what was sent.
var ErrMedia = errors.New("the bytes differ from what was sent")

// Media is the part of an app that loads media down and up. It keeps its
// connection from one transfer to the next, as the app does; two transfers at
// once take two connections. Whoever makes one calls Close.
type Media struct {
	// Host is the name that the app asks for and wants in the certificate. It
	// may change between two transfers.
	Host string

	transport http.Transport
	dials     atomic.Int32
}

// NewMedia makes a Media whose connections come from dial and lead to a server
// with a certificate under roots; nil is the system's.
func NewMedia(roots *x509.CertPool, dial func(context.Context) (net.Conn, error)) *Media {
	m := &Media{Host: whatsapp.MediaHost}
	m.transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	m.transport.DisableCompression = true
	m.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		m.dials.Add(1)
		return dial(ctx)
	}
	return m
}

// Dial is a dial for NewMedia that connects to a TCP address.
func Dial(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
}

// Dials says how many connections were needed until now.
func (m *Media) Dials() int { return int(m.dials.Load()) }

// Close ends the connections that no transfer uses.
func (m *Media) Close() { m.transport.CloseIdleConnections() }

// Download fetches size bytes and compares them with the stand-in's pattern.
// pass, if it is not nil, wraps the body: whoever wants to see the bytes as they
// come reads them there. The error is ErrPattern or the connection's.
func (m *Media) Download(ctx context.Context, size int64, pass func(io.Reader) io.Reader) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s/media/%d", m.Host, size), nil)
	if err != nil {
		return err
	}
	res, err := m.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if pass == nil {
		return standin.CheckPattern(res.Body, size)
	}
	return standin.CheckPattern(pass(res.Body), size)
}

// Upload sends size bytes of the stand-in's pattern, through pass if it is not
// nil, and wants the stand-in to have got the same. The error is ErrMedia or the
// connection's.
func (m *Media) Upload(ctx context.Context, size int64, pass func(io.Reader) io.Reader) error {
	sum := sha256.New()
	body := io.TeeReader(standin.Pattern(size), sum)
	if pass != nil {
		body = pass(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+m.Host+"/upload", body)
	if err != nil {
		return err
	}
	request.ContentLength = size
	res, err := m.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var got standin.Uploaded
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<10)).Decode(&got); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if want := (standin.Uploaded{Bytes: size, SHA256: hex.EncodeToString(sum.Sum(nil))}); got != want {
		return ErrMedia
	}
	return nil
}
