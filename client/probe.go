package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
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
	Pinned   bool          // the certificate is verified by a pin, not by public authorities
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
// the front's clock is kept. It takes as long as ctx allows, at most 25 seconds.
func (c *Client) Probe(ctx context.Context, front int) Probed {
	p := Probed{Pinned: len(c.cfg.Link.Fronts[front].Pins) > 0}
	if c.probe(ctx, front, &p) {
		p.Hops = nil // once more, by another token
		c.probe(ctx, front, &p)
	}
	p.Ahead = c.clocks[front].gap()
	return p
}

// probe reports whether another try is worth it.
func (c *Client) probe(ctx context.Context, i int, p *Probed) (again bool) {
	d, f := c.cfg.Dialer, c.cfg.Link.Fronts[i]
	raw, ok := step(p, HopNetwork, func() (net.Conn, error) { return d.Reach(ctx, f) })
	if !ok {
		return false
	}
	secure, ok := step(p, HopTLS, func() (*tls.Conn, error) { return d.Secure(ctx, raw, f) })
	if !ok {
		return false
	}
	state := secure.ConnectionState()
	p.Version = state.Version
	p.NotAfter = state.PeerCertificates[0].NotAfter // there is one, or it was not verified
	sock, ok := step(p, HopGate, func() (s *socket, err error) {
		s, again, err = c.enter(ctx, secure, i, "")
		return s, err
	})
	if ok {
		sock.Close()
	}
	return again
}

// step tries one hop and notes how it went.
func step[T any](p *Probed, name HopName, try func() (T, error)) (T, bool) {
	start := time.Now()
	v, err := try()
	p.Hops = append(p.Hops, Hop{name, time.Since(start), err})
	return v, err == nil
}

// refusal says what an answer that is no socket means.
func refusal(answer *http.Response) error {
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
