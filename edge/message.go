package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/internal/handover"
	"culvert/internal/wire"
)

// handFor bounds a hand-over; a function's timeout must be longer, or Lambda
// ends the process and its connections with it. The origin answers at once.
const handFor = 10 * time.Second

// These say why a message was not handed on, as do handover.ErrUnreachable and
// handover.ErrSilent. API Gateway tells the client of each in the same words, and
// Lambda's log shows which it was.
var (
	errUnknown = errors.New("the origin does not know the connection")
	errRefused = errors.New("the origin refused the message")
)

// Message handles $default: it hands a client's message on to the origin that
// the message's ticket names. It answers 200 when that origin has it, 403 to an
// event of another API and to a message without a valid token or ticket, 400 to
// one that no client of ours makes.
//
// An error means that the message is lost: the origin is gone, does not know
// the connection, or did not answer in time. Lambda then reports a function
// error and API Gateway tells the client "Internal server error", upon which
// the client ends the carrier and goes on through another.
func (g *Gate) Message(ctx context.Context, e request) (response, error) {
	return g.message(ctx, e, []byte(e.Body))
}

// message handles e, whose body is text.
func (g *Gate) message(ctx context.Context, e request, text []byte) (response, error) {
	if !g.ours(e, typeMessage) {
		return g.refuse(typeMessage, http.StatusForbidden, notOurs), nil
	}
	up, err := wire.ParseUp(text)
	if err != nil || e.IsBase64Encoded {
		return g.refuse(typeMessage, http.StatusBadRequest, badText), nil
	}
	owner, ok := g.owner(up, time.Now())
	if !ok {
		return g.refuse(typeMessage, http.StatusForbidden, badPass), nil
	}
	h := wire.Handed{Event: wire.Message, Conn: e.RequestContext.ConnectionID, Text: text}
	if err := g.deliver(ctx, owner, h, up.Token != ""); err != nil {
		return response{}, err
	}
	return response{StatusCode: http.StatusOK}, nil
}

// deliver hands h to owner. A hello needs no particular origin: if the one that
// its ticket names is gone or full, the configured one takes the client in. An
// owner that stays silent may have done so itself, and two would answer.
func (g *Gate) deliver(ctx context.Context, owner string, h wire.Handed, isHello bool) error {
	err := g.hand(ctx, owner, h)
	if err != nil && err != handover.ErrSilent && isHello && owner != g.cfg.Origin.Host {
		return g.hand(ctx, g.cfg.Origin.Host, h)
	}
	return err
}

// hand posts h, signed, to the origin at host.
func (g *Gate) hand(ctx context.Context, host string, h wire.Handed) error {
	ctx, cancel := context.WithTimeout(ctx, handFor)
	defer cancel()
	to := url.URL{Scheme: g.cfg.Origin.Scheme, Host: host}
	status, err := g.origins.Post(ctx, to, g.signer.Sign(h, time.Now()), false)
	switch {
	case err != nil:
		return err
	case status == http.StatusNoContent:
		return nil
	case status == http.StatusGone:
		return errUnknown
	}
	return errRefused
}

// owner is the host and port that up goes to: whom its ticket names or, for a
// hello without one that holds, the configured origin, which finds out. A hello
// needs a token that a gate admits and any other message a ticket, so that strangers cost
// the origin nothing.
func (g *Gate) owner(up wire.Up, now time.Time) (host string, ok bool) {
	o, err := g.tickets.Open(up.Ticket, now)
	named := err == nil && g.mayCall(o.At)
	if up.Token == "" {
		return o.At.String(), named
	}
	user, ok := g.user(up.Token, now)
	if named && user == o.User {
		return o.At.String(), ok
	}
	return g.cfg.Origin.Host, ok
}

// mayCall bounds what a ticket can make a function call, should a key ever
// leak: nothing public, no metadata service (link-local addresses are not
// private ones), no port of the system.
func (g *Gate) mayCall(at netip.AddrPort) bool {
	ip := at.Addr().Unmap()
	inside := wire.IsInside(ip) || g.loopback && ip.IsLoopback()
	return inside && (at.Port() >= 1024 || portOf(g.cfg.Origin) == at.Port())
}

// MessageHandler is Message for lambda.Start, which reads events by itself: for
// a full message encoding/json takes ten times as long as all the rest.
func (g *Gate) MessageHandler() lambda.Handler { return messageHandler{g} }

type messageHandler struct{ gate *Gate }

// Invoke implements lambda.Handler.
func (h messageHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	e, body, err := readEvent(payload)
	if err != nil {
		return nil, errEvent
	}
	r, err := h.gate.message(ctx, e, body)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// errEvent means that what came is no event. It stands for the error of
// encoding/json, which may hold some of what came.
var errEvent = errors.New("not an event of API Gateway")

// readEvent looks for bodyBegins, and puts placeholder where a body was.
var (
	bodyBegins  = []byte(`"body":"`)
	placeholder = []byte("the body is read apart")
)

// readEvent is json.Unmarshal, but takes a body without escapes, as ours are,
// out before; control characters in it pass, which the message's parser refuses.
// It returns the body apart, which may alias payload; e.Body is of no use. A
// quote within a JSON text has a backslash, so what looks like the key is one;
// that it is the event's, the placeholder shows.
func readEvent(payload []byte) (e request, body []byte, err error) {
	before, rest, _ := bytes.Cut(payload, bodyBegins)
	body, after, found := bytes.Cut(rest, []byte(`"`))
	if found && bytes.IndexByte(body, '\\') < 0 && utf8.Valid(body) {
		short := bytes.Join([][]byte{before, bodyBegins, placeholder, []byte(`"`), after}, nil)
		if err = json.Unmarshal(short, &e); err == nil && e.Body == string(placeholder) {
			return e, body, nil
		}
	}
	e = request{}
	err = json.Unmarshal(payload, &e)
	return e, []byte(e.Body), err
}
