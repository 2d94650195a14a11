package origin

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// streamDoor makes a carrier of the WebSocket of whoever has a token, and shows the
// site to all others: a refusal is the same whatever its reason.
type streamDoor struct {
	admission *admission
	fleet     *fleet
	site      http.Handler
	metrics   *metrics
}

// ServeHTTP returns at once: a connection that has become a carrier, of this origin
// or of another, is no longer net/http's.
func (d *streamDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, first, ok := d.admit(r)
	if !ok {
		d.site.ServeHTTP(w, r)
		return
	}
	if d.passOn(w, r, b.user) {
		return
	}
	d.carry(w, r, b, first)
}

// admit says whose carrier r asks for, and takes the token. Each of two origins takes
// it, the one that passes r on and the one that serves r: if the second refuses a copy
// of r, then so has the first. first is the message that came with it; nil: none did.
// The work is the same for whoever is refused, with a token or without one.
func (d *streamDoor) admit(r *http.Request) (b bearer, first []byte, ok bool) {
	now, asks := time.Now(), isUpgrade(r)
	text, first, brings := tokenOf(r)
	b, why := d.admission.judge(text, now)
	if asks && brings {
		d.metrics.refusedToken(why)
	}
	if ok = asks && brings && why == ""; ok {
		ok = d.admission.take(&b, "", now)
	} else {
		d.admission.taken.pretend(&b.token)
	}
	if asks && !ok {
		d.metrics.strangers.Inc()
	}
	return b, first, ok
}

// tokenOf is the token that r brings, and the message behind it. text is empty if there is none
// that could be one.
func tokenOf(r *http.Request) (text string, first []byte, ok bool) {
	for _, cookie := range r.Cookies() { // of all, so that it takes the same time whatever they are called
		if cookie.Name == wire.TokenCookie {
			return wire.CutAhead(cookie.Value)
		}
	}
	return "", nil, false
}

// passOn has the origin that r's ticket names serve r. It returns false, and has
// answered nothing, if this origin is to serve r.
func (d *streamDoor) passOn(w http.ResponseWriter, r *http.Request, user uint32) bool {
	cookie, err := r.Cookie(wire.TicketCookie)
	if err != nil || r.ContentLength != 0 { // no client of ours sends an upgrade with a body
		return false
	}
	owner, elsewhere := d.fleet.owner(r, cookie.Value)
	return elsewhere && owner.User == user && d.fleet.passUpgrade(w, r, owner.At)
}

// carry makes r the carrier that it asks to be.
func (d *streamDoor) carry(w http.ResponseWriter, r *http.Request, b bearer, first []byte) {
	if t := d.fleet.ticket(&b); t != "" {
		http.SetCookie(w, &http.Cookie{Name: wire.TicketCookie, Value: t, Path: "/", Secure: true, HttpOnly: true})
	}
	party := d.admission.party(session.Stream, &b)
	answer, first := party.Ahead(first, time.Now())
	http.SetCookie(w, &http.Cookie{Name: wire.ChallengeCookie, Value: wire.ChallengeText(party.Challenge(), answer), Path: "/", Secure: true, HttpOnly: true})
	sock, err := transport.Accept(w, r, first)
	if err != nil {
		return
	}
	c := d.admission.newCarrier(sock, party, &b)
	c.Told = true
	c.ShapeFor(r.Host)
	if first == nil {
		c.Play(&b.token)
	}
	c.Start()
}

// isUpgrade checks all that makes websocket.Accept fail, so that whoever fails
// sees the site and not an error of the library.
func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && r.ProtoMajor == 1 &&
		hasToken(r.Header, "Connection", "upgrade") && hasToken(r.Header, "Upgrade", "websocket") &&
		r.Header.Get("Sec-WebSocket-Version") == "13" && len(r.Header.Values("Sec-WebSocket-Key")) == 1 &&
		isKey(r.Header.Get("Sec-WebSocket-Key"))
}

// isKey reports whether s is 16 bytes in base64, as RFC 6455, section 4.2.1 wants.
func isKey(s string) bool {
	b, err := base64.StdEncoding.DecodeString(s)
	return err == nil && len(b) == 16
}

func hasToken(h http.Header, name, token string) bool {
	for t := range strings.SplitSeq(strings.Join(h.Values(name), ","), ",") {
		if strings.EqualFold(strings.TrimSpace(t), token) {
			return true
		}
	}
	return false
}
