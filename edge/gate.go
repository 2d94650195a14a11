// Package edge is what AWS Lambda runs behind API Gateway's WebSocket API: it
// admits clients and hands their messages on to the origin, signed. It opens no
// frame and keeps nothing between two events.
package edge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"culvert/internal/handover"
	"culvert/internal/wire"
)

// Config is what a Gate needs; only Log and Client may be missing.
type Config struct {
	Keys   wire.GateKeys // who is admitted; the first signs what is handed on
	Origin *url.URL      // http://host:port of the origin, or of what stands before several
	API    string        // id of the API whose events are taken
	Stage  string        // and its stage
	Log    *slog.Logger  // nil: no logs
	Client *http.Client  // hands on; nil: one that keeps connections to origins
}

// Gate is the edge for one API. Its methods are handlers for lambda.Start and
// may be called at once by many. What they log and return holds nothing of an
// event: no address, id, token or byte of a message. Whoever makes one closes it,
// unless the process ends with it.
type Gate struct {
	cfg      Config
	loopback bool // the origin is on this machine, and so may be an owner
	tickets  *wire.Tickets
	signer   *wire.Signer
	origins  *handover.Client
	log      *slog.Logger
}

type (
	request  = events.APIGatewayWebsocketProxyRequest
	response = events.APIGatewayProxyResponse
)

// These are event types of API Gateway.
const (
	typeConnect    = "CONNECT"
	typeMessage    = "MESSAGE"
	typeDisconnect = "DISCONNECT"
)

// These are reasons of refusals that a log shows.
const (
	notOurs = "not an event of our API"
	badText = "not a message of a client"
	badPass = "no valid token or ticket"
)

// New makes the Gate of a process: its connections to the origin are kept from
// one event to the next. An error says which part of c is wrong.
func New(c Config) (*Gate, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := &Gate{
		cfg: c, loopback: isLoopback(c.Origin.Hostname()), tickets: wire.NewTickets(c.Keys),
		signer: wire.NewSigner(c.Keys), origins: handover.New(c.Client), log: c.Log,
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	return g, nil
}

func (c Config) check() error {
	switch {
	case len(c.Keys) == 0:
		return wire.ErrGateSecret
	case c.Origin == nil || c.Origin.Hostname() == "" || c.Origin.Scheme != "http" && c.Origin.Scheme != "https":
		return errors.New("the origin is not like http://10.0.1.7:8080")
	case strings.Trim(c.Origin.Path, "/") != "" || c.Origin.User != nil || c.Origin.RawQuery != "":
		return errors.New("the origin has more than a scheme, a host and a port: take the rest away")
	case c.API == "" || c.Stage == "":
		return errors.New("the API's id or stage is missing: they are in every event's requestContext")
	}
	return nil
}

// Close ends the connections to origins that are kept. No handler runs any more.
func (g *Gate) Close() { g.origins.Close() }

// Connect handles $connect. It answers 200 to whoever brings a valid token and
// to all others 404 without a body, whatever is wrong: API Gateway passes the
// status on in place of the handshake's 101. It dials nothing, and never fails.
// A token that is brought twice admits twice: the origin alone takes it once, and
// alone can tell whether the user has made it.
func (g *Gate) Connect(_ context.Context, e request) (response, error) {
	switch {
	case !g.ours(e, typeConnect):
		return g.refuse(typeConnect, http.StatusNotFound, notOurs), nil
	case !g.admits(e):
		return g.refuse(typeConnect, http.StatusNotFound, "no valid token"), nil
	}
	return response{StatusCode: http.StatusOK}, nil
}

// Disconnect handles $disconnect, which comes late or never: it tells the
// origin, and answers 200 whether or not that knew the connection. It never
// fails, since nobody is left to be told.
func (g *Gate) Disconnect(ctx context.Context, e request) (response, error) {
	if !g.ours(e, typeDisconnect) {
		return g.refuse(typeDisconnect, http.StatusOK, notOurs), nil
	}
	h := wire.Handed{Event: wire.Disconnect, Conn: e.RequestContext.ConnectionID}
	if err := g.hand(ctx, g.cfg.Origin.Host, h); err != nil {
		g.log.Info("disconnect not handed on", "reason", err.Error())
	}
	return response{StatusCode: http.StatusOK}, nil
}

// ours says whether API Gateway sent e for our API and as what we handle.
// Whoever may invoke a function may send anything.
func (g *Gate) ours(e request, eventType string) bool {
	c := e.RequestContext
	return c.APIID == g.cfg.API && c.Stage == g.cfg.Stage && c.EventType == eventType &&
		c.ConnectionID != "" && len(c.ConnectionID) <= wire.MaxConnID
}

// refuse logs why an event of that type got status.
func (g *Gate) refuse(eventType string, status int, reason string) response {
	g.log.Info("refused", "event", eventType, "reason", reason)
	return response{StatusCode: status}
}

// admits tries every cookie of the token's name: whatever lies between may have
// set one of its own. API Gateway bounds headers to 10 KB.
func (g *Gate) admits(e request) bool {
	for _, c := range cookies(e) {
		if _, ok := g.user(c.Value, time.Now()); ok {
			return true
		}
	}
	return false
}

// user is whose token a text says that it is, if a gate admits it.
func (g *Gate) user(token string, now time.Time) (user uint32, ok bool) {
	t, err := wire.ParseToken(token)
	return t.User(), err == nil && t.Admit(g.cfg.Keys, now)
}

// cookies reads both forms of an event's headers. Their names come as the
// client wrote them, or in lower case from a client of HTTP/2.
func cookies(e request) []*http.Cookie {
	var all []string
	for name, values := range e.MultiValueHeaders {
		if strings.EqualFold(name, "Cookie") {
			all = append(all, values...)
		}
	}
	for name, value := range e.Headers {
		if strings.EqualFold(name, "Cookie") {
			all = append(all, value)
		}
	}
	r := http.Request{Header: http.Header{"Cookie": all}}
	return r.CookiesNamed(wire.TokenCookie)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// portOf is the port of u, or its scheme's.
func portOf(u *url.URL) uint16 {
	n, _ := net.LookupPort("tcp", cmp.Or(u.Port(), u.Scheme)) // package net knows those of http and https
	return uint16(n)
}
