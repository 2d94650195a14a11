package origin

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// ServeHTTP is the stream door for whoever has a token, and the site for all
// others: a refusal is the same whatever its reason.
func (o *Origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, ok := o.admit(r)
	if !ok {
		o.cfg.Site.ServeHTTP(w, r)
		return
	}
	sock, err := relay.Accept(w, r)
	if err != nil {
		return
	}
	c := relay.NewCarrier(sock, o.table, user)
	if o.draining.Load() {
		c.Leave()
	}
	c.Ping() // its answer tells the round trip, which windows need
	c.Start()
}

func (o *Origin) admit(r *http.Request) (user uint32, ok bool) {
	if !isUpgrade(r) {
		return 0, false
	}
	cookie, err := r.Cookie(wire.TokenCookie)
	if err != nil {
		o.metrics.stranger()
		return 0, false
	}
	user, err = o.gate.Verify(cookie.Value, time.Now())
	if err != nil || o.cfg.Revoked(user) || o.table.Carriers() >= o.cfg.MaxCarriers ||
		o.table.CarriersOf(user) >= o.cfg.UserCarriers {
		o.metrics.stranger()
		return 0, false
	}
	return user, true
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
