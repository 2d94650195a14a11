package whatsapp

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"culvert/internal/wire"
)

// MediaHost is a media server's name that serves every proof.
const MediaHost = "mmg.whatsapp.net"

// errHost means the name to prove is none.
var errHost = errors.New("not a host name")

// MediaProof is what a genuine media server told of itself.
type MediaProof struct {
	Status    int           // of its HTTP answer; any proves it
	NotAfter  time.Time     // when its certificate expires
	Handshake time.Duration // of TLS
	RTT       time.Duration // from the request's first byte to the answer's head
	Sent      int           // bytes of the upload's body
}

// ProveMedia asks whether conn ends at a server with a certificate for host under
// roots (nil: the system's), and whether it answers HTTP. A size that is not 0 has
// a body of so many bytes go up first, all of which have gone when ProveMedia
// succeeds. It waits until ctx ends, at most 20 seconds. The caller closes conn,
// which is of no further use.
//
// The error is ErrNotWhatsApp, ErrClosed, ErrTimeout, ErrSignature or ctx's.
func ProveMedia(ctx context.Context, conn net.Conn, host string, roots *x509.CertPool, size int) (MediaProof, error) {
	if _, ok := wire.HostName(host); !ok {
		return MediaProof{}, errHost
	}
	release := bound(ctx, conn, proofWait)
	defer release()
	m, w := MediaProof{Sent: size}, &witness{Conn: conn}
	err := m.ask(w, host, roots)
	if err != nil {
		return MediaProof{}, explain(ctx, w.judge(err))
	}
	return m, nil
}

func (m *MediaProof) ask(conn net.Conn, host string, roots *x509.CertPool) error {
	start := time.Now()
	secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: roots, NextProtos: []string{"http/1.1"}})
	if err := secure.Handshake(); err != nil {
		return err
	}
	m.Handshake = time.Since(start)
	m.NotAfter = secure.ConnectionState().PeerCertificates[0].NotAfter
	req, err := mediaRequest(host, m.Sent)
	if err != nil {
		return err
	}
	start = time.Now()
	if err := req.Write(secure); err != nil {
		return err
	}
	m.Status, err = readStatus(secure, req)
	m.RTT = time.Since(start)
	return err
}

// maxHead bounds the head of an answer and the informational ones before it.
const maxHead = 64 << 10

// readStatus leaves the answer's body where it is: closing would read it.
func readStatus(r io.Reader, req *http.Request) (int, error) {
	head := bufio.NewReader(io.LimitReader(r, maxHead))
	for {
		resp, err := http.ReadResponse(head, req)
		if err != nil {
			return 0, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp.StatusCode, nil
		}
	}
}

func mediaRequest(host string, size int) (*http.Request, error) {
	method, body := http.MethodGet, io.Reader(nil)
	if size > 0 {
		method, body = http.MethodPost, io.LimitReader(rand.Reader, int64(size))
	}
	req, err := http.NewRequest(method, "https://"+host+"/", body)
	if err != nil {
		return nil, errHost
	}
	req.ContentLength = int64(size)
	req.Close = true
	req.Header.Set("User-Agent", "")
	return req, nil
}

// witness notes the first error of the connection itself: whatever else goes
// wrong is the server's doing.
type witness struct {
	net.Conn
	err error
}

func (w *witness) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.note(err)
	return n, err
}

func (w *witness) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.note(err)
	return n, err
}

func (w *witness) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

// judge tells a wrong certificate, a connection that failed, and a server that
// speaks something else from one another.
func (w *witness) judge(err error) error {
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verify):
		return fmt.Errorf("%w: %s", ErrSignature, certificateFailure(verify.Err))
	case w.err != nil:
		return w.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return err
	}
	return fmt.Errorf("%w: no TLS, or no HTTP inside", ErrNotWhatsApp)
}

// certificateFailure says what is wrong without naming the host.
func certificateFailure(err error) string {
	var (
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &name):
		return "it is for another name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it is expired or not valid yet: is the clock right?"
	}
	return "no trusted authority vouches for it"
}
