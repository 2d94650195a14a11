// Package handover is how a message of a client reaches the origin that owns its
// connection: a POST with a wire.Handed as its body, from a function of the edge
// to an origin, or from one origin to another.
package handover

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"culvert/internal/wire"
)

const (
	// dialFor suffices between two machines in one network.
	dialFor = 2 * time.Second
	// keepFor is less than the two minutes after which an origin closes an idle
	// connection, so that it is seldom the origin that closes one.
	keepFor = 50 * time.Second
	// maxAnswer bounds what is read of an answer: its head, and as much of its
	// body, so that the connection can be kept.
	maxAnswer = 16 << 10
)

// ErrUnreachable means that nothing took the connection: the message did not
// leave, and may go to another origin.
var ErrUnreachable = errors.New("the origin could not be reached")

// ErrSilent means that no answer came. The origin may have the message, so the
// caller does not hand it to another one.
var ErrSilent = errors.New("the origin did not answer")

// Client posts to origins. Its methods may be called by many goroutines at once.
// Whoever makes one closes it.
type Client struct{ http *http.Client }

// New makes a Client over c, or over one of its own if c is nil, which talks to
// origins only, whatever proxy the environment names, and follows no redirect.
func New(c *http.Client) *Client {
	if c != nil {
		return &Client{c}
	}
	return Over(new(net.Dialer).DialContext)
}

// Over is New over connections that dial makes.
func Over(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Client {
	return &Client{&http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, dialFor)
				defer cancel()
				return dial(ctx, network, address)
			},
			TLSHandshakeTimeout:    dialFor,
			IdleConnTimeout:        keepFor,
			MaxIdleConnsPerHost:    256, // an origin hands on for many clients at once, a function for one
			MaxResponseHeaderBytes: maxAnswer,
			DisableCompression:     true,
		},
	}}
}

// Close ends the connections that are idle. The caller has ended its posts.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Post hands body to the origin at to and returns the status of its answer. With
// passed, the message comes from another origin, and the receiver passes it on to
// nobody. The caller bounds the time by ctx, and must not write to body afterwards,
// which net/http may read for a while after an error. The error is ErrUnreachable
// or ErrSilent, neither of which names an address.
func (c *Client) Post(ctx context.Context, to url.URL, body []byte, passed bool) (status int, err error) {
	to.Path = "/"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return 0, ErrUnreachable // only for a host that no address and no configured origin has
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	if passed {
		r.Header.Set(wire.PassedHeader, "1")
	}
	// A key that is present and empty lets net/http send again on a new connection
	// if a kept one was closed meanwhile. For the receiver, twice is once.
	r.Header["Idempotency-Key"] = nil
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, withoutAddress(err)
	}
	defer answer.Body.Close()
	io.CopyN(io.Discard, answer.Body, maxAnswer)
	return answer.StatusCode, nil
}

func withoutAddress(err error) error {
	if op := new(net.OpError); errors.As(err, &op) && op.Op == "dial" {
		return ErrUnreachable
	}
	return ErrSilent
}
