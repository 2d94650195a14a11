package site

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

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
