package edge

import (
	"context"
	"net/http"
	"strings"
	"time"

	"culvert/internal/wire"
)

// Connect handles $connect. It answers 200 to whoever brings a valid token and
// to all others 404 without a body, whatever is wrong: API Gateway passes the
// status on in place of the handshake's 101. It dials nothing, and never fails.
// A token that is brought twice admits twice: the origin wants more than a
// token before it does anything.
func (g *Gate) Connect(_ context.Context, e request) (response, error) {
	switch {
	case !g.ours(e, typeConnect):
		return g.refuse(typeConnect, http.StatusNotFound, notOurs), nil
	case !g.admits(e):
		return g.refuse(typeConnect, http.StatusNotFound, "no valid token"), nil
	}
	return response{StatusCode: http.StatusOK}, nil
}

// admits tries every cookie of the token's name: whatever lies between may have
// set one of its own. API Gateway bounds headers to 10 KB.
func (g *Gate) admits(e request) bool {
	for _, c := range cookies(e) {
		if _, err := g.cfg.Keys.Verify(c.Value, time.Now()); err == nil {
			return true
		}
	}
	return false
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
