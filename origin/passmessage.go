package origin

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"culvert/internal/wire"
)

// errNoOwner means that nothing answers where a ticket leads: its origin is
// gone, and has not got the message.
var errNoOwner = errors.New("no owner")

// newOwnerClient posts to other origins.
func newOwnerClient() *http.Client {
	return &http.Client{
		Timeout: ownerAnswer,
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: ownerDial}).DialContext,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        50 * time.Second, // before the other end's
			MaxResponseHeaderBytes: maxOwnerAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// passMessage passes on a message for a connection that is not here to the
// origin that its ticket names, once.
func (g *gateway) passMessage(r *http.Request, up wire.Up, body []byte) int {
	owner, ok := g.owner(r, up.Ticket)
	if !ok {
		return http.StatusGone
	}
	status, err := g.passOn(r.Context(), owner.At, body)
	if err != nil {
		return http.StatusGone
	}
	return status
}

// passOn hands body to owner and returns its answer. The error is errNoOwner,
// or another if the owner may have got it.
func (g *gateway) passOn(ctx context.Context, owner netip.AddrPort, body []byte) (int, error) {
	to := url.URL{Scheme: "http", Host: owner.String(), Path: "/"}
	lasting := bytes.Clone(body) // net/http may read it for a while after an error
	out, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(lasting))
	if err != nil {
		return http.StatusGone, errNoOwner
	}
	out.Header.Set("Content-Type", "application/octet-stream")
	out.Header.Set(wire.PassedHeader, "1")
	out.Header["Idempotency-Key"] = nil // lets net/http send again if a kept connection was closed meanwhile
	res, err := g.owners.Do(out)
	if err != nil {
		g.metrics.passed("unreachable")
		return http.StatusServiceUnavailable, whyNot(err)
	}
	res.Body.Close()
	switch res.StatusCode {
	case http.StatusNoContent, http.StatusGone, http.StatusServiceUnavailable:
		g.metrics.passed("message")
		return res.StatusCode, nil
	}
	return http.StatusGone, errNoOwner // something else is there now
}

func whyNot(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return errNoOwner
	}
	return err
}
