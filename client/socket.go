package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"culvert/internal/link"
	"culvert/internal/relay"
	"culvert/internal/wire"
)

// upgradeTimeout bounds the WebSocket handshake: one round trip and the CDN's
// own way to the origin.
const upgradeTimeout = 10 * time.Second

// ErrNotLetIn means that a front answered like an ordinary website: the link
// is revoked, its path is wrong, or it leads to another site.
var ErrNotLetIn = errors.New("the front shows an ordinary website: the link may be revoked or out of date, ask for a new one")

// dialSocket races the fronts, the one that was good last first.
func (c *Client) dialSocket(ctx context.Context) (relay.Socket, int, error) {
	drop := func(s relay.Socket) { s.Close() }
	return raceFronts(ctx, c.cfg.Link.Fronts, c.pool.front(), c.tryFront, drop)
}

// tryFront opens a socket by f. When it is not let in and the answer's date
// shows that the clock is wrong, it tries once more by that date.
func (c *Client) tryFront(ctx context.Context, f link.Front) (relay.Socket, error) {
	s, answer, err := c.openSocket(ctx, f)
	if err != nil && answer != nil && c.learnDate(answer) {
		s, answer, err = c.openSocket(ctx, f)
	}
	if err != nil {
		return nil, err
	}
	c.learnDate(answer)
	return s, nil
}

func (c *Client) openSocket(ctx context.Context, f link.Front) (relay.Socket, *http.Response, error) {
	conn, err := dialFront(ctx, f, c.cfg.Dialer)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, upgradeTimeout)
	defer cancel()
	s, answer, err := relay.Upgrade(ctx, conn, f.Host, f.Path, c.header())
	switch {
	case err != nil && answer != nil:
		err = ErrNotLetIn
	case err != nil:
		err = failed(gateStep, err)
	}
	return s, answer, err
}

func (c *Client) header() http.Header {
	keys := c.cfg.Link.Keys
	cookie := http.Cookie{Name: wire.TokenCookie, Value: wire.NewToken(keys.User, keys.Token, c.clock.read())}
	return http.Header{"Cookie": {cookie.String()}, "User-Agent": {userAgent}}
}

// userAgent is what most visitors of a website say.
const userAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

func (c *Client) learnDate(answer *http.Response) bool {
	there, err := http.ParseTime(answer.Header.Get("Date"))
	return err == nil && c.clock.learn(there)
}

// prepare is what goes between TCP and TLS of every carrier.
func prepare(c net.Conn) net.Conn {
	relay.Tune(c)
	return relay.NewCork(c)
}
