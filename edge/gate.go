// Package edge is what AWS Lambda runs behind API Gateway's WebSocket API: it
// admits clients and hands their messages on to the origin, signed. It opens no
// frame and keeps nothing between two events.
package edge

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"culvert/internal/wire"
)

// Config is what a Gate needs; all of it but Log and Client.
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
// event: no address, id, token or byte of a message.
type Gate struct {
	cfg      Config
	loopback bool // the origin is on this machine, and so may be an owner
	tickets  *wire.Tickets
	signer   *wire.Signer
	client   *http.Client
	log      *slog.Logger
}

type (
	request  = events.APIGatewayWebsocketProxyRequest
	response = events.APIGatewayProxyResponse
)

// Event types of API Gateway.
const (
	typeConnect    = "CONNECT"
	typeMessage    = "MESSAGE"
	typeDisconnect = "DISCONNECT"
)

// New makes the Gate of a process: its connections to the origin are kept from
// one event to the next. An error says which part of c is wrong.
func New(c Config) (*Gate, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g := &Gate{
		cfg: c, loopback: isLoopback(c.Origin.Hostname()),
		tickets: wire.NewTickets(c.Keys, time.Time{}), signer: wire.NewSigner(c.Keys), client: c.Client, log: c.Log,
	}
	if g.client == nil {
		g.client = newClient()
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
