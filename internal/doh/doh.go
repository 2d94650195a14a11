// Package doh asks a resolver for the addresses of a name, and by what it is encrypted, over HTTPS (RFC 8484), and
// believes nothing in its answer but what was asked for.
package doh

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// MaxAnswer is the longest answer that is read, in bytes: DNS messages have a length of
// two bytes wherever else they are carried (RFC 1035, section 4.2.2).
const MaxAnswer = 64 << 10

const mediaType = "application/dns-message"

// Error is what a resolver does that is no answer. Its text has no names and no addresses.
type Error struct {
	What string // a sentence without its subject
	err  error
}

func (e *Error) Error() string { return "the resolver " + e.What }
func (e *Error) Unwrap() error { return e.err }

// Errors of Ask that are not about one answer alone.
var (
	ErrNoName    = &Error{What: "says that there is no such name"}
	ErrNoAddress = &Error{What: "knows no address of that kind"}
	ErrNoECH     = &Error{What: "knows no configuration of ECH"}
	errBroken    = &Error{What: "breaks the connection off"}
	errLarge     = &Error{What: "sends too large an answer"}
	errCut       = &Error{What: "sends an answer that is cut off"}
	errStatus    = &Error{What: "does not answer as one over HTTPS does"}
)

// Conn is a connection to a resolver, and takes one request. How that is written is the connection's
// affair. It follows no redirection, and knows no cookies and no compression.
type Conn interface {
	http.RoundTripper
	Close() error
}

// Ask asks the resolver at url, to which conn leads, for the addresses of host; network is
// ip4 or ip6. There are MaxAddrs at most. It closes conn, and leaves nothing that runs for
// longer than that takes.
//
// The error is an *Error: ErrNoAddress if the host has no address of the family. It wraps
// the context's if that ended.
func Ask(ctx context.Context, conn Conn, url, network, host string) ([]netip.Addr, error) {
	kind := dnsmessage.TypeAAAA
	if network == "ip4" {
		kind = dnsmessage.TypeA
	}
	q, a, err := ask(ctx, conn, url, kind, host)
	if err != nil {
		return nil, err
	}
	return a.of(q)
}

// AskECH asks as Ask does for the HTTPS record of a name (RFC 9460), and returns the list of ECH configurations in it, which
// may be anything. The error is ErrNoECH if it has none.
func AskECH(ctx context.Context, conn Conn, url, name string) ([]byte, error) {
	q, a, err := ask(ctx, conn, url, dnsmessage.TypeHTTPS, name)
	if err != nil {
		return nil, err
	}
	return a.echOf(q)
}

// ask asks for the records of a kind, and closes conn.
func ask(ctx context.Context, conn Conn, url string, kind dnsmessage.Type, name string) (*question, *answers, error) {
	defer conn.Close()
	q, err := newQuestion(kind, name)
	if err != nil {
		return nil, nil, &Error{"cannot be asked for such a name", err}
	}
	b, err := post(ctx, conn, url, q.message)
	if err != nil {
		return nil, nil, err
	}
	a, err := q.answers(b)
	return q, a, err
}

// post sends a message, and returns the one that answers it.
func post(ctx context.Context, conn Conn, url string, message []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(message))
	if err != nil {
		return nil, &Error{"has a URL that cannot be asked", err}
	}
	req.Header = http.Header{"Content-Type": {mediaType}, "Accept": {mediaType}}
	answer, err := conn.RoundTrip(req)
	if err != nil {
		return nil, unanswered(ctx, err)
	}
	defer answer.Body.Close()
	if kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type")); answer.StatusCode != http.StatusOK || kind != mediaType {
		return nil, errStatus
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, MaxAnswer+1))
	switch {
	case len(b) > MaxAnswer:
		return nil, errLarge
	case ctx.Err() != nil:
		return nil, unanswered(ctx, err)
	case err != nil:
		return nil, &Error{errCut.What, err}
	}
	return b, nil
}

// unanswered is why no answer came, or not all of it.
func unanswered(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return &Error{"was given up", ctx.Err()}
	case ctx.Err() != nil:
		return &Error{"does not answer in time", ctx.Err()}
	}
	return &Error{errBroken.What, err}
}
