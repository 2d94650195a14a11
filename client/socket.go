package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"culvert/client/front"
	"culvert/internal/dial"
	"culvert/internal/link"
	"culvert/internal/netpoll"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// upgradeTimeout bounds the WebSocket handshake: one round trip and the CDN's
// own way to the origin.
const upgradeTimeout = 10 * time.Second

// ErrNotLetIn means that a front answered like an ordinary website: the link
// is revoked, its path is wrong, or it leads to another site.
var ErrNotLetIn = errors.New("the front shows an ordinary website: the link may be revoked or out of date, ask for a new one")

// frontStagger is the head start of a front before the next is tried as well:
// a TLS and WebSocket handshake needs longer than a TCP connection.
const frontStagger = 300 * time.Millisecond

// dialSocket races the fronts that may be taken, and returns the number of the
// one that won. The error is dial.ErrNothing if there is no such front.
func (c *Client) dialSocket(ctx context.Context, o *originRef, may func(link.Front) bool) (transport.Transport, int, error) {
	return dial.Race(ctx, c.frontsToTry(may), frontStagger, func(ctx context.Context, i int) (transport.Transport, error) {
		s, err := c.tryFront(ctx, c.cfg.Link.Fronts[i], o)
		if err != nil {
			return nil, fmt.Errorf("front %d: %w", i+1, err)
		}
		return s, nil
	}, func(s transport.Transport) { s.Close() })
}

// frontsToTry lists the fronts that may be taken in their order, but the one that
// was good last, or else the one after it, comes first.
func (c *Client) frontsToTry(may func(link.Front) bool) (fronts []int) {
	for i, f := range c.cfg.Link.Fronts {
		if may(f) {
			fronts = append(fronts, i)
		}
	}
	good := c.health.first()
	if at := slices.IndexFunc(fronts, func(i int) bool { return i >= good }); at > 0 {
		first := fronts[at]
		fronts = slices.Insert(slices.Delete(fronts, at, at+1), 0, first)
	}
	return fronts
}

// tryFront opens a socket by f. When it is not let in and the answer's date
// shows that the clock is wrong, it tries once more by that date.
func (c *Client) tryFront(ctx context.Context, f link.Front, o *originRef) (transport.Transport, error) {
	s, answer, err := c.openSocket(ctx, f, o)
	if err != nil && answer != nil && c.learnDate(answer) {
		s, answer, err = c.openSocket(ctx, f, o)
	}
	if err != nil {
		return nil, err
	}
	c.learnDate(answer)
	return s, nil
}

func (c *Client) openSocket(ctx context.Context, f link.Front, o *originRef) (transport.Transport, *http.Response, error) {
	conn, err := c.cfg.Dialer.Dial(ctx, f)
	if err != nil {
		return nil, nil, err
	}
	return c.enter(ctx, conn, f, o)
}

// enter is the second half of openSocket: it asks on conn for a socket, and closes
// conn if there is none. The answer is nil if none came.
func (c *Client) enter(ctx context.Context, conn net.Conn, f link.Front, o *originRef) (transport.Transport, *http.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	s, answer, err := c.upgrade(ctx, conn, f, o)
	switch {
	case err != nil && answer != nil:
		err = refusal(answer)
	case err != nil:
		err = front.Failed(front.StepUpgrade, err)
	}
	return s, answer, err
}

// upgrade asks on conn for a socket of f's door that leads to o.
func (c *Client) upgrade(ctx context.Context, conn net.Conn, f link.Front, o *originRef) (transport.Transport, *http.Response, error) {
	keys, ticket := c.cfg.Link.Keys, o.read()
	token := wire.NewToken(keys.User, keys.Token, c.clock.read())
	header := header(token, ticket)
	if f.Gateway {
		return transport.UpgradeText(ctx, conn, f.Host, f.Path, header, transport.Pass{Token: token, Ticket: ticket, Learn: o.learn})
	}
	s, answer, err := transport.Upgrade(ctx, conn, f.Host, f.Path, header)
	if err == nil {
		o.learnFrom(answer)
	}
	return s, answer, err
}

func header(token, ticket string) http.Header {
	cookies := (&http.Cookie{Name: wire.TokenCookie, Value: token}).String()
	if ticket != "" {
		cookies += "; " + (&http.Cookie{Name: wire.TicketCookie, Value: ticket}).String()
	}
	return http.Header{"Cookie": {cookies}, "User-Agent": {userAgent}}
}

// learnFrom keeps the ticket that the stream door sets in a cookie.
func (o *originRef) learnFrom(answer *http.Response) {
	for _, cookie := range answer.Cookies() {
		if cookie.Name == wire.TicketCookie && len(cookie.Value) == wire.TicketLen {
			o.learn(cookie.Value)
		}
	}
}

// userAgent is what most visitors of a website say.
const userAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

func (c *Client) learnDate(answer *http.Response) bool {
	there, err := http.ParseTime(answer.Header.Get("Date"))
	return err == nil && c.clock.learn(there)
}

// prepared is a copy of d that readies connections for carriers. The cork lies
// right beneath TLS, where the carrier looks for it, above what d's Wrap made.
func prepared(d *front.Dialer) *front.Dialer {
	wrap := d.Wrap
	d = d.Clone()
	d.Wrap = func(c net.Conn) net.Conn {
		netpoll.Tune(c)
		if wrap != nil {
			c = wrap(c)
		}
		return transport.NewCork(c)
	}
	return d
}
