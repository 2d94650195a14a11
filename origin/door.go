package origin

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// ServeHTTP is the stream door for whoever has a token, the gateway door for
// what functions hand on, and the site for all others: a refusal is the same
// whatever its reason.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if o.gateway != nil && o.gateway.serve(w, r) {
		return
	}
	user, ok := o.admit(r)
	if !ok {
		o.cfg.Site.ServeHTTP(w, r)
		return
	}
	if o.passUpgrade(w, r, user) {
		return
	}
	if o.full(user) {
		o.metrics.stranger()
		o.cfg.Site.ServeHTTP(w, r)
		return
	}
	o.carry(w, r, user)
}

// carry makes r the carrier that it asks to be.
func (o *Origin) carry(w http.ResponseWriter, r *http.Request, user uint32) {
	if t := o.ticket(user); t != "" {
		http.SetCookie(w, &http.Cookie{Name: wire.TicketCookie, Value: t, Path: "/", Secure: true, HttpOnly: true})
	}
	sock, err := relay.Accept(w, r)
	if err != nil {
		return
	}
	c := relay.NewCarrier(sock, o.table, user)
	o.greet(c)
	c.Start()
}

// greet sends what a client should know first.
func (o *Origin) greet(c *relay.Carrier) {
	if o.draining.Load() {
		c.Leave()
	}
	c.Ping() // its answer tells the round trip, which windows need
}

// admit says whose carrier r asks for.
func (o *Origin) admit(r *http.Request) (user uint32, ok bool) {
	if !isUpgrade(r) {
		return 0, false
	}
	if cookie, err := r.Cookie(wire.TokenCookie); err == nil {
		user, ok = o.verify(cookie.Value)
	}
	if !ok {
		o.metrics.stranger()
	}
	return user, ok
}

// verify says whose token this is, if that user's links are not void.
func (o *Origin) verify(token string) (user uint32, ok bool) {
	user, err := o.gates.Verify(token, time.Now())
	return user, err == nil && !o.cfg.Revoked(user)
}

// full reports whether there may be no more carriers, or none of user's.
func (o *Origin) full(user uint32) bool {
	return o.table.Carriers() >= o.cfg.MaxCarriers || o.table.CarriersOf(user) >= o.cfg.UserCarriers
}

// isUpgrade checks all that makes websocket.Accept fail, so that whoever fails
// sees the site and not an error of the library.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && r.ProtoMajor == 1 &&
		hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == "13" && len(r.Header.Values("Sec-WebSocket-Key")) == 1 &&
		isKey(r.Header.Get("Sec-WebSocket-Key"))
}

// isKey wants 16 bytes in base64: RFC 6455, section 4.2.1.
func isKey(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

func hasToken(h http.Header, name, token string) bool {
	for _, v := range h.Values(name) {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}
