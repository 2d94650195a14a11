package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// HopName is a step on the way to the origin by one front.
type HopName string

// The hops that Probe takes, in this order.
const (
	HopNetwork HopName = "network" // look the name up, connect
	HopTLS     HopName = "tls"     // shake hands, verify the certificate
	HopGate    HopName = "gate"    // ask for a WebSocket with the link's token
)

// Hop is one step that was tried.
type Hop struct {
	Name HopName
	Took time.Duration
	Err  error // nil: passed. Its text names no host, and most say what to try
}

// Probed is what Probe found.
type Probed struct {
	Hops     []Hop         // those that were tried, in order; only the last may have failed
	Version  uint16        // of TLS, as in crypto/tls; 0: not known
	NotAfter time.Time     // of the front's certificate; zero: not known
	ECH      bool          // the front's name was encrypted
	Pinned   bool          // the certificate is verified by a pin, not by public authorities
	Small    bool          // larger ClientHellos were reset, and one without ML-KEM passed
	Status   int           // HTTP status of the front's answer, if that opened no socket; 0: there was none
	Ahead    time.Duration // of the front's clock to this machine's, if that is more than half a minute
}

// Passed says whether all hops did.
func (p Probed) Passed() bool { return len(p.Hops) == 3 && p.Hops[2].Err == nil }

// A front's answer that opens no socket, told apart by its status.
var (
	errBehind   = errors.New("the front answers, but not the origin behind it: the origin may be down, try again later")
	errRedirect = errors.New("the front sends us elsewhere: log in to this network if it asks for that, else ask for a new link")
)

// Probe goes to the origin by one front of the link, apart from all else that c
// does and with a token of its own, and says how each step went. What is learned of
// the front's clock is kept. It takes as long as ctx allows, at most 25 seconds, and as
// long again after an answer that another token may change.
func (c *Client) Probe(ctx context.Context, front int) Probed {
	p := Probed{Pinned: len(c.fronts.at(front).Pins) > 0}
	if c.probe(ctx, front, &p) {
		p.Hops, p.Status = nil, 0 // once more, by another token
		c.probe(ctx, front, &p)
	}
	p.Ahead = c.fronts.at(front).clock.gap()
	return p
}

// hops are what Probe calls the steps of an Open.
var hops = []HopName{HopNetwork, HopTLS, HopGate}

// probe reports whether another try is worth it.
func (c *Client) probe(ctx context.Context, i int, p *Probed) (again bool) {
	began := time.Now()
	sock, way, again, err := c.openSocket(ctx, i, "", wanted{})
	rest := time.Since(began)
	for n, took := range way.Took {
		p.Hops = append(p.Hops, Hop{hops[n], took, nil})
		rest -= took
	}
	if len(way.State.PeerCertificates) > 0 {
		p.Version, p.ECH = way.State.Version, way.State.ECHAccepted
		p.NotAfter = way.State.PeerCertificates[0].NotAfter
	}
	p.Small = p.Small || way.Small
	var no *refusedError
	if errors.As(err, &no) {
		p.Status = no.status
	}
	if err != nil {
		p.Hops = append(p.Hops, Hop{hops[len(way.Took)], max(rest, 0), err})
		return again
	}
	sock.Close()
	return false
}

// refusedError is what an answer that is no socket means.
type refusedError struct {
	error
	status int
}

func (e *refusedError) Unwrap() error { return e.error }

func refusal(answer *http.Response) error {
	return &refusedError{whyRefused(answer), answer.StatusCode}
}

func whyRefused(answer *http.Response) error {
	switch {
	case answer.StatusCode >= 500, answer.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%w (HTTP status %d)", errBehind, answer.StatusCode)
	case answer.StatusCode >= 300 && answer.StatusCode < 400:
		return fmt.Errorf("%w (HTTP status %d)", errRedirect, answer.StatusCode)
	}
	return ErrNotLetIn
}

// wasAnswered reports whether one of the fronts that err is about answered.
func wasAnswered(err error) bool {
	return errors.Is(err, ErrNotLetIn) || errors.Is(err, errBehind) || errors.Is(err, errRedirect)
}
