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
	"fmt"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"culvert/internal/guise"
)

// Site is a folder of files as a website. It is an http.Handler, and may be shared by any number of servers.
// It reads no body, and leaves Date to net/http.
type Site struct {
	files map[string]file // by the path that asks for them
}

// Handler shows the first of the embedded sites as it is.
func Handler() http.Handler { return First() }

// First is the site that Handler shows.
var First = sync.OnceValue(func() *Site { return Choice{Kind: kinds[0].name}.Site() })

// ServeHTTP answers everything.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guise.LeaveBody(w, r)
	isRead := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !isRead && r.Method != http.MethodPost {
		guise.Refuse(w, r, http.StatusMethodNotAllowed)
		return
	}
	at := address(r.URL.Path)
	f, ok := s.files[at]
	switch {
	case !ok || at == missing:
		s.showMissing(w, r)
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
func (s *Site) Paths() []string {
	var all []string
	for at := range s.files {
		if at != missing {
			all = append(all, at)
		}
	}
	slices.Sort(all)
	return all
}

// missing is the page that is shown for all that there is not.
const missing = "/404.html"

// file is one file of a site, ready to be sent.
type file struct {
	body    []byte
	packed  []byte // by gzip; nil: it is sent as it is alone
	kind    string // Content-Type
	changed time.Time
}

func newFile(name string, body []byte, changed time.Time) file {
	f := file{body: body, kind: typeOf(name), changed: changed.UTC().Truncate(time.Second)}
	if packs[path.Ext(name)] {
		f.packed = pack(body)
	}
	return f
}

// packers are kept, as each holds a megabyte.
var packers = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // there is that level
	return w
}}

func pack(body []byte) []byte {
	var b bytes.Buffer
	w := packers.Get().(*gzip.Writer)
	defer packers.Put(w)
	w.Reset(&b)
	w.OS = 3 // Unix, as gzip says there
	w.Write(body)
	w.Close()
	return b.Bytes()
}

// etag is nginx's: when the file changed, and its length.
func (f file) etag(body []byte) string { return fmt.Sprintf(`"%x-%x"`, f.changed.Unix(), len(body)) }

// types are given here, as the machine's table differs from one to the next. They are nginx's.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8",
	".xml": "text/xml; charset=utf-8", ".css": "text/css", ".js": "application/javascript; charset=utf-8", ".json": "application/json",
	".ico": "image/x-icon", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
	".svg": "image/svg+xml", ".webp": "image/webp", ".woff": "font/woff", ".woff2": "font/woff2", ".pdf": "application/pdf",
	".mp3": "audio/mpeg", ".mp4": "video/mp4",
}

// packs are the endings of what gets shorter when it is packed.
var packs = map[string]bool{".html": true, ".htm": true, ".css": true, ".js": true, ".svg": true, ".xml": true, ".json": true}

func typeOf(name string) string {
	if t, ok := types[strings.ToLower(path.Ext(name))]; ok {
		return t
	}
	return "application/octet-stream"
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

func (s *Site) showMissing(w http.ResponseWriter, r *http.Request) {
	f, ok := s.files[missing]
	if !ok {
		guise.Refuse(w, r, http.StatusNotFound)
		return
	}
	body, packed := choose(w, r, f)
	w.Header().Set("Etag", f.etag(body))
	send(w, r, http.StatusNotFound, body, packed)
}

func showFile(w http.ResponseWriter, r *http.Request, f file) {
	body, packed := choose(w, r, f)
	tag, changed := f.etag(body), f.changed.Format(http.TimeFormat)
	switch judge(r.Header, tag, f.changed) {
	case http.StatusPreconditionFailed:
		guise.Refuse(w, r, http.StatusPreconditionFailed)
		return
	case http.StatusNotModified:
		w.Header().Del("Content-Type")
		w.Header().Set("Last-Modified", changed)
		w.Header().Set("Etag", tag)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	from, to, asks := span(r.Header, tag, f.changed, len(body))
	asks = asks && !packed
	if asks && from >= to {
		w.Header().Set("Content-Range", "bytes */"+strconv.Itoa(len(body)))
		guise.Refuse(w, r, http.StatusRequestedRangeNotSatisfiable)
		return
	}
	w.Header().Set("Last-Modified", changed)
	w.Header().Set("Etag", tag)
	if asks {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(body)))
		send(w, r, http.StatusPartialContent, body[from:to], false)
		return
	}
	if !packed {
		w.Header().Set("Accept-Ranges", "bytes")
	}
	send(w, r, http.StatusOK, body, packed)
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
