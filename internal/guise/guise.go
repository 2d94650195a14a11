// Package guise has net/http answer as nginx does: the same headers in the same order and spelling, the same
// pages for what is malformed, too long or not allowed, on HTTP and where HTTPS is spoken. What net/http
// answers by itself, in words that say what program this is, is replaced on its way out; over HTTP/2 it is kept from
// having to, by what it is given to read.
//
// nginx is the one whose answers a stranger expects of a website. What it answers was read from version 1.22,
// with server_tokens off, charset utf-8, gzip_static and gzip_vary on, max_ranges 1; a test in test/probing
// compares the two byte for byte, and lists what is not the same.
//
// A server uses all parts: Listen, Dress around Strict (together: Handler), and WithConn.
package guise

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Name is what the header Server says.
const Name = "nginx"

// maxLine is nginx's large_client_header_buffers: the request's line fits in one, and each header.
const maxLine = 8 << 10

type connKey struct{}

// WithConn is an http.Server's ConnContext.
func WithConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// LeaveBody has the answer not wait for a body that nobody wants. The connection ends behind the answer, though
// nginx would read the body and go on: net/http reads it before it answers, or not at all.
func LeaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		EndUnsaid(w, r)
	}
}

// EndUnsaid ends the connection behind the answer, which says so only where the visitor has asked for that.
func EndUnsaid(w http.ResponseWriter, r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*Conn); ok {
		c.unsaid = !r.Close
	}
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// Handler is h behind what nginx refuses before it looks for a page.
func Handler(h http.Handler) http.Handler { return Dress(Strict(h)) }

// Dress has the answers of h leave as nginx's. Requests of connections that are no Listener's go to h as they are.
func Dress(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch c := r.Context().Value(connKey{}).(type) {
		case *Conn:
			c.begin()
			w = &writer{w, c}
		case *frames:
		default:
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Server", Name)
		h.ServeHTTP(w, r)
	})
}

// Strict refuses what nginx refuses before it looks for a page, where answers are dressed.
func Strict(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := refusal(r); status != 0 && r.Context().Value(connKey{}) != nil {
			Refuse(w, r, status)
			return
		}
		h.ServeHTTP(w, withoutFragment(r))
	})
}

// withoutFragment is r as nginx reads it, to which "#" ends a path.
func withoutFragment(r *http.Request) *http.Request {
	before, _, found := strings.Cut(r.RequestURI, "#")
	if !found {
		return r
	}
	at, err := url.ParseRequestURI(before)
	if err != nil {
		return r
	}
	cut := r.Clone(r.Context())
	cut.RequestURI, cut.URL = before, at
	return cut
}

// writer hands out the connection beneath, whose type is what whoever takes it over relies on.
type writer struct {
	http.ResponseWriter
	conn *Conn
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refusal is what nginx answers a request that net/http finds well-formed; 0 if it looks for a page.
func refusal(r *http.Request) int {
	switch {
	case isStrange(withoutFragment(r)), r.ProtoMajor == 1 && repeats(r.Header):
		return http.StatusBadRequest
	case r.ProtoMajor == 1 && len(r.Method)+len(r.RequestURI)+len("  HTTP/1.1\r\n") > maxLine:
		return http.StatusRequestURITooLong
	case r.ProtoMajor == 1 && hasLongHeader(r.Header): // of others requests has taken care
		return headerTooLarge
	case r.Method == http.MethodTrace:
		return http.StatusMethodNotAllowed
	}
	return 0
}

// isStrange reports whether nginx cannot read the request: only capital letters make a method, and only a
// path, or over HTTP/1 a URL with one, says what is wanted.
func isStrange(r *http.Request) bool {
	at := r.RequestURI
	if r.ProtoMajor == 1 {
		at = pathOf(at)
	}
	return !isMethod(r.Method) || !strings.HasPrefix(at, "/") || r.Host == "" && r.ProtoAtLeast(1, 1) ||
		r.Host != "" && !isHost(r.Host) || strings.Contains(r.URL.Path, "\x00") || climbs(r.URL.Path)
}

// pathOf is what says in a URL what is wanted of a host, from the first slash on; a path stays as it is.
func pathOf(at string) string {
	if rest, isURL := strings.CutPrefix(at, "http://"); isURL {
		return "/" + rest
	}
	if rest, isURL := strings.CutPrefix(at, "https://"); isURL {
		return "/" + rest
	}
	return at
}

func isMethod(text string) bool {
	isOther := func(c rune) bool { return (c < 'A' || c > 'Z') && c != '_' && c != '-' }
	return text != "" && strings.IndexFunc(text, isOther) < 0
}

// isHost reports whether nginx takes a text for a host, with or without a port.
func isHost(text string) bool {
	name := text
	if end := strings.IndexByte(text, ']'); strings.HasPrefix(text, "[") && end > 0 {
		name = text[:end+1]
	} else if !strings.HasPrefix(text, "[") {
		name, _, _ = strings.Cut(text, ":")
	}
	return strings.TrimSuffix(name, ".") != "" && !strings.Contains(text, "..") && !strings.Contains(text, "/") && !strings.ContainsFunc(text, isBlank)
}

// climbs reports whether a path leads above where it begins.
func climbs(path string) bool {
	depth := 0
	for part := range strings.SplitSeq(path, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// unique are the headers that nginx takes once. Of others it takes the first, or all. The last is what blotter makes
// of Expect.
var unique = []string{"if-modified-since", "if-unmodified-since", "if-match", "if-none-match", "if-range", "content-length", "content-range",
	"transfer-encoding", "authorization", "expect", "expecx"}

func repeats(h http.Header) bool {
	return slices.ContainsFunc(unique, func(name string) bool { return len(h.Values(name)) > 1 })
}

func hasLongHeader(h http.Header) bool {
	for name, values := range h {
		for _, v := range values {
			if len(name)+len(v)+len(": \r\n") > maxLine {
				return true
			}
		}
	}
	return false
}
