// Package site is the ordinary website that the edge and the origin show to
// everyone who brings no valid, fresh token: a scanner, a censor, a lost
// reader. It is small, static, needs no JavaScript and names no other host.
//
// The answer depends on method, path and the headers that ask for a page in
// another form alone, so that no refusal differs from another or from a plain
// visit. It is what nginx answers for a folder of files; internal/guise has the
// bytes of it leave as nginx writes them.
package site

import (
	"bytes"
	"compress/gzip"
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

	"culvert/internal/guise"
)

// changed is the Last-Modified of every page: a constant, so that all edges
// and origins agree. Advance it together with the pages.
var changed = time.Date(2025, time.October, 12, 16, 20, 7, 0, time.UTC)

// Handler shows the site. It may be shared by any number of servers. It reads
// no body, and leaves Date to net/http.
func Handler() http.Handler { return http.HandlerFunc(show) }

func show(w http.ResponseWriter, r *http.Request) {
	guise.LeaveBody(w, r)
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !isRead && r.Method != http.MethodPost {
		guise.Refuse(w, r, http.StatusMethodNotAllowed)
		return
	}
	at := address(r.URL.Path)
	f, ok := shelf()[at]
	switch {
	case !ok || at == missing:
		showMissing(w, r)
	case !isRead:
		guise.Refuse(w, r, http.StatusMethodNotAllowed)
	default:
		showFile(w, r, f)
	}
}

// address is the file that a path asks for.
func address(asked string) string {
	at := path.Clean("/" + asked)
	if strings.HasSuffix(asked, "/") {
		at = path.Join(at, "index.html")
	}
	return at
}

// Paths are the addresses of all pages, sorted, for edges that show the site in
// another way.
func Paths() []string {
	var all []string
	for at := range shelf() {
		if at != missing {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
}

//go:embed pages
var files embed.FS

// missing is the page that is shown for all that there is not.
const missing = "/404.html"

// file is one file of the site, ready to be sent.
type file struct {
	body   []byte
	packed []byte // by gzip; nil: it is sent as it is alone
	kind   string // Content-Type
}

// shelf holds the files by the path that asks for them. Built at the first visit.
var shelf = sync.OnceValue(func() map[string]file {
	all := map[string]file{}
	names, _ := fs.Glob(files, "pages/*") // the pattern is well-formed
	for _, name := range names {
		body, _ := files.ReadFile(name) // embedded: cannot fail
		all["/"+path.Base(name)] = newFile(path.Ext(name), body)
	}
	return all
})

func newFile(extension string, body []byte) file {
	f := file{body: body, kind: kinds[extension]}
	if extension == ".html" || extension == ".css" {
		f.packed = pack(body)
	}
	return f
}

func pack(body []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // there is that level
	w.OS = 3                                              // Unix, as gzip says there
	w.Write(body)
	w.Close()
	return b.Bytes()
}

// etag is nginx's: when a file changed, and its length.
func etag(body []byte) string { return fmt.Sprintf(`"%x-%x"`, changed.Unix(), len(body)) }

// kinds are given here, as the machine's MIME table differs from one to the next.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css",
	".txt":  "text/plain; charset=utf-8",
	".ico":  "image/x-icon",
}

// choose is the form of f that r gets, and sets what depends on that.
func choose(w http.ResponseWriter, r *http.Request, f file) (body []byte, packed bool) {
	w.Header().Set("Content-Type", f.kind)
	if f.packed == nil {
		return f.body, false
	}
	w.Header().Set("Vary", "Accept-Encoding")
	if !guise.TakesGzip(r) {
		return f.body, false
	}
	return f.packed, true
}

func showMissing(w http.ResponseWriter, r *http.Request) {
	body, packed := choose(w, r, shelf()[missing])
	w.Header().Set("Etag", etag(body))
	send(w, r, http.StatusNotFound, body, packed)
}

func showFile(w http.ResponseWriter, r *http.Request, f file) {
	body, packed := choose(w, r, f)
	tag := etag(body)
	switch judge(r.Header, tag) {
	case http.StatusPreconditionFailed:
		guise.Refuse(w, r, http.StatusPreconditionFailed)
		return
	case http.StatusNotModified:
		w.Header().Del("Content-Type")
		w.Header().Set("Last-Modified", changed.Format(http.TimeFormat))
		w.Header().Set("Etag", tag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if from, to, asks := span(r.Header, tag, len(body)); asks && !packed {
		sendPart(w, r, body, from, to)
		return
	}
	w.Header().Set("Last-Modified", changed.Format(http.TimeFormat))
	w.Header().Set("Etag", tag)
	if !packed {
		w.Header().Set("Accept-Ranges", "bytes")
	}
	send(w, r, http.StatusOK, body, packed)
}

func sendPart(w http.ResponseWriter, r *http.Request, body []byte, from, to int) {
	if from >= to {
		w.Header().Set("Content-Range", "bytes */"+strconv.Itoa(len(body)))
		guise.Refuse(w, r, http.StatusRequestedRangeNotSatisfiable)
		return
	}
	w.Header().Set("Last-Modified", changed.Format(http.TimeFormat))
	w.Header().Set("Etag", etag(body))
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)))
	send(w, r, http.StatusPartialContent, body[from:to], false)
}

func send(w http.ResponseWriter, r *http.Request, status int, body []byte, packed bool) {
	if packed {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the visitor may have gone
	}
}
