package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"culvert/internal/wire"
)

const (
	// handFor bounds a hand-over; a function's timeout must be longer, or Lambda
	// ends the process and its connections with it. The origin answers at once.
	handFor = 10 * time.Second
	// dialFor is for two machines in one network.
	dialFor = 2 * time.Second
	// keepFor is less than the two minutes after which the origin closes an idle
	// connection, so that it is seldom the origin that does.
	keepFor = 50 * time.Second
	// maxAnswer is read of an answer, so that its connection can be kept.
	maxAnswer = 16 << 10
)

// Why a message was not handed on. API Gateway tells the client of each in the
// same words, and Lambda's log shows these.
var (
	errUnknown     = errors.New("the origin does not know the connection")
	errRefused     = errors.New("the origin refused the message")
	errUnreachable = errors.New("the origin could not be reached") // a message may go to another
	errSilent      = errors.New("the origin did not answer")       // it may have the message
)

// newClient talks to origins only, whatever proxy the environment names, and
// goes where it was sent.
func newClient() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: dialFor}).DialContext,
			TLSHandshakeTimeout:    dialFor,
			IdleConnTimeout:        keepFor,
			MaxIdleConnsPerHost:    256, // bin/edge hands on for many at once, a function for one
			MaxResponseHeaderBytes: maxAnswer,
			DisableCompression:     true,
		},
	}
}

// hand posts h, signed, to the origin at host. An error is one of those above.
func (g *Gate) hand(ctx context.Context, host string, h wire.Handed) error {
	ctx, cancel := context.WithTimeout(ctx, handFor)
	defer cancel()
	to := url.URL{Scheme: g.cfg.Origin.Scheme, Host: host, Path: "/"}
	body := bytes.NewReader(g.signer.Sign(h, time.Now()))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), body)
	if err != nil {
		return errUnreachable // only for a host that no address and no configured origin has
	}
	r.Header["Content-Type"] = []string{"application/octet-stream"}
	// Present and empty, it lets net/http send again on a new connection if the
	// kept one was closed meanwhile. To the origin, twice is once.
	r.Header["Idempotency-Key"] = nil
	return g.post(r)
}

// post's error is not that of net/http, which names the address.
func (g *Gate) post(r *http.Request) error {
	answer, err := g.client.Do(r)
	if err != nil {
		return withoutAddress(err)
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, maxAnswer)
	switch answer.StatusCode {
	case http.StatusNoContent:
		return nil
	case http.StatusGone:
		return errUnknown
	}
	return errRefused
}

func withoutAddress(err error) error {
	if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
		return errUnreachable
	}
	return errSilent
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// portOf is the port of u, or its scheme's.
func portOf(u *url.URL) uint16 {
	if u.Port() == "" {
		return map[string]uint16{"http": 80, "https": 443}[u.Scheme]
	}
	n, _ := strconv.ParseUint(u.Port(), 10, 16)
	return uint16(n)
}
