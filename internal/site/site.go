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
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
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

// Paths are the addresses of all pages, sorted, for edges that show the site in
// another way.
func Paths() []string {
	var all []string
	for at := range shelf() {
		if strings.HasPrefix(at, "/") {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
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

//go:embed pages
var files embed.FS

// page is one file of the site, ready to be sent.
type page struct {
	body []byte
	kind string // Content-Type
	etag string // from the body: the same in every build that has the same page
}

// sendAs answers with the page under a status of its own; such answers are
// neither conditional nor ranged.
func (p page) sendAs(w http.ResponseWriter, r *http.Request, status int) {
	w.Header().Set("Content-Type", p.kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(p.body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(p.body) // the visitor may have gone
	}
}

// shelf holds the pages by the path that asks for them; "404" and "405",
// which no request path equals, are the refusals. Built at the first visit.
var shelf = sync.OnceValue(func() map[string]page {
	pages := map[string]page{}
	names, _ := fs.Glob(files, "pages/*") // the pattern is well-formed
	for _, name := range names {
		body, _ := files.ReadFile(name) // embedded: cannot fail
		sum := sha256.Sum256(body)
		pages[address(path.Base(name))] = page{body, kinds[path.Ext(name)], fmt.Sprintf(`"%x"`, sum[:8])}
	}
	return pages
})

// address is the path that asks for a file: pages have no extension.
func address(name string) string {
	bare, isPage := strings.CutSuffix(name, ".html")
	switch {
	case bare == "index":
		return "/"
	case bare == "404" || bare == "405":
		return bare
	case isPage:
		return "/" + bare
	}
	return "/" + name
}

// kinds are given here, as the machine's MIME table differs from one to the next.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
	".ico":  "image/x-icon",
}
