// Package site is the ordinary website that the edge and the origin show to
// everyone who brings no valid, fresh token: a scanner, a censor, a lost
// reader. It is small, static, needs no JavaScript and names no other host.
//
// The answer depends on method, path and the conditional headers alone, so
// that no refusal differs from another or from a plain visit. No Server header
// is sent: net/http sends none either when it refuses a malformed request, and
// one that named another program would be found to lie by the first of those.
package site

import (
	"bytes"
	"net/http"
	"time"
)

// changed is the Last-Modified of every page: a constant, so that all edges
// and origins agree. Advance it together with the pages.
var changed = time.Date(2025, time.October, 12, 16, 20, 7, 0, time.UTC)

// bodyPatience is how long net/http may drain the body of a refused request
// (it drains 256 KiB at most) before the connection is closed.
const bodyPatience = 2 * time.Second

// Handler shows the site. It may be shared by any number of servers. It reads
// no body, looks at no header but the conditional ones and Range, and leaves
// Date to net/http: clients with a wrong clock learn the time from it, so
// caches are asked to come back each time.
func Handler() http.Handler { return http.HandlerFunc(show) }

func show(w http.ResponseWriter, r *http.Request) {
	refuseBody(w, r)
	w.Header().Set("Cache-Control", "no-cache")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		shelf()["405"].sendAs(w, r, http.StatusMethodNotAllowed)
		return
	}
	p, ok := shelf()[r.URL.Path]
	if !ok {
		shelf()["404"].sendAs(w, r, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", p.kind)
	w.Header().Set("Etag", p.etag)
	http.ServeContent(w, r, "", changed, bytes.NewReader(p.body))
}

// refuseBody makes sure that a body, which nobody here wants, neither keeps
// the connection nor decides by its length whether it is kept.
func refuseBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	w.Header().Set("Connection", "close")
	// Not every ResponseWriter has deadlines; the server's ReadTimeout is behind it.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyPatience))
}
