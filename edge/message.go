package edge

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"culvert/internal/wire"
)

// Reasons of refusals that a log shows.
const (
	notOurs = "not an event of our API"
	badText = "not a message of a client"
	badPass = "no valid token or ticket"
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
	if err != nil && err != errSilent && isHello && owner != g.cfg.Origin.Host {
		return g.hand(ctx, g.cfg.Origin.Host, h)
	}
	return err
}

// owner is the host and port that up goes to: whom its ticket names or, for a
// hello without one that holds, the configured origin, which finds out. A hello
// needs a valid token and any other message a ticket, so that strangers cost
// the origin nothing.
func (g *Gate) owner(up wire.Up, now time.Time) (host string, ok bool) {
	o, err := g.tickets.Open(up.Ticket, now)
	named := err == nil && g.mayCall(o.At)
	if up.Token == "" {
		return o.At.String(), named
	}
	user, err := g.cfg.Keys.Verify(up.Token, now)
	if named && user == o.User {
		return o.At.String(), err == nil
	}
	return g.cfg.Origin.Host, err == nil
}

// mayCall bounds what a ticket can make a function call, should a key ever
// leak: nothing public, no metadata service (link-local addresses are not
// private ones), no port of the system.
func (g *Gate) mayCall(at netip.AddrPort) bool {
	ip := at.Addr().Unmap()
	inside := wire.IsInside(ip) || g.loopback && ip.IsLoopback()
	return inside && (at.Port() >= 1024 || portOf(g.cfg.Origin) == at.Port())
}
