package visit

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"culvert/client/look"
	"culvert/internal/selfsigned"
)

// host is the website of these tests.
const host = "front.example"

var certificate = sync.OnceValue(func() tls.Certificate {
	cert, err := selfsigned.Make(time.Now(), 48*time.Hour, host)
	if err != nil {
		panic(err)
	}
	return *cert
})

// server is a website that writes down what it is asked.
type server struct {
	*httptest.Server
	mu    sync.Mutex // guards the following
	asked []*http.Request
}

func serve(t *testing.T, protocol string, answer http.HandlerFunc) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r)
		s.mu.Unlock()
		answer(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{protocol}}
	s.EnableHTTP2 = protocol == "h2"
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// take returns what was asked since it was called last.
func (s *server) take() (all []*http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.asked = s.asked, nil
	return all
}

// paths are those that were asked for since; what is asked for at once may come in any order.
func (s *server) paths() string {
	var all []string
	for _, r := range s.take() {
		all = append(all, r.URL.RequestURI())
	}
	if len(all) > 2 {
		slices.Sort(all[1 : len(all)-1])
	}
	return strings.Join(all, " ")
}

// connect shakes hands with s as a look does for a page.
func (s *server) connect(t *testing.T, name string) *look.Conn {
	t.Helper()
	l, err := look.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	c, err := l.Handshake(t.Context(), raw, look.Config{Kind: look.Page, Name: host, Verify: func(tls.ConnectionState) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// both has f try a website by both protocols, each with another look.
func both(t *testing.T, answer http.HandlerFunc, f func(t *testing.T, s *server, name string)) {
	t.Parallel()
	for protocol, name := range map[string]string{"h2": "chromium", "http/1.1": "firefox"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, serve(t, protocol, answer), name)
		})
	}
}

func (s *server) visit(t *testing.T, site *Site, name string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return site.Visit(ctx, s.connect(t, name), host)
}

const page = `<!doctype html><html><head><!-- <script src="/no.js"></script> --><title><img src="/no.png"></title>
<link rel=stylesheet href="/style.css?a=1&amp;b=2"><link rel="preload" href="/no.css" as="style"><link rel="icon" href="icon.png">
<script src='/script.js'></script><script>document.write('<img src="/no2.png">')</script></head>
<body><img src="/image.png"><img src="https://elsewhere.example/no.png"><img src="//elsewhere.example/no.png"><noscript><img src="/no3.png"></noscript>
<img src="http://front.example/no4.png"><img src="/image.png"><a href="/no.html">`

// ordinary is a website with cookies and validators.
func ordinary(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "visitor", Value: "v", Path: "/", Secure: true})
	http.SetCookie(w, &http.Cookie{Name: "part", Value: "p", Path: "/part"})
	w.Header().Set("Etag", `"`+r.URL.Path+`"`)
	w.Header().Set("Cache-Control", "no-cache")
	switch {
	case r.Header.Get("If-None-Match") == `"`+r.URL.Path+`"`:
		w.WriteHeader(http.StatusNotModified)
	case r.URL.Path == "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	default:
		w.Header().Set("Cache-Control", "max-age=3600")
		io.WriteString(w, "x")
	}
}

// A visit asks for the page, then for what it embeds of its own host, then for its icon; another for what is not fresh,
// by what is kept, and with cookies.
func TestAVisitAsksForWhatABrowserAsksFor(t *testing.T) {
	both(t, ordinary, func(t *testing.T, s *server, name string) {
		site := &Site{}
		if err := s.visit(t, site, name); err != nil {
			t.Fatal(err)
		}
		all := s.take()
		if first := all[0]; first.Header.Get("Cookie")+first.Header.Get("Referer")+first.Header.Get("If-None-Match") != "" || first.Header.Get("Sec-Fetch-Dest") != "document" {
			t.Errorf("the first request has %v, want nothing of an earlier visit", first.Header)
		}
		s.asked = all
		if got := s.paths(); got != "/ /image.png /script.js /style.css?a=1&b=2 /icon.png" {
			t.Errorf("got %s", got)
		}
		for _, r := range all[1:] {
			if r.Header.Get("Cookie") != "visitor=v" || r.Header.Get("Referer") != "https://"+host+"/" || r.Host != host {
				t.Errorf("%s: got %v", r.URL, r.Header)
			}
		}
		if got := site.Cookies(time.Now()); got != "visitor=v" {
			t.Errorf("got cookies %q", got)
		}
		if err := s.visit(t, site, name); err != nil {
			t.Fatal(err)
		}
		all = s.take()
		if len(all) != 1 || all[0].Header.Get("If-None-Match") != `"/"` || all[0].Header.Get("Cookie") != "visitor=v" {
			t.Errorf("the second visit: got %v, want the page alone, by what is kept", all)
		}
		site.kept["/script.js"] = copied{tag: `"/script.js"`}
		if err := s.visit(t, site, name); err != nil {
			t.Fatal(err)
		}
		all = s.take()
		if len(all) != 2 || all[1].Header.Get("If-None-Match") != `"/script.js"` || all[1].Header.Get("Sec-Fetch-Dest") != "script" {
			t.Errorf("got %v, want the script asked for again by what is kept", all)
		}
		site.Forget()
		if site.Cookies(time.Now()) != "" || len(site.kept) > 0 {
			t.Error("something of a site is left that was forgotten")
		}
	})
}

func TestAVisitFollowsItsHostAndNobodyElse(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{
		"/en/?a b":                     "/ /en/?a%20b /favicon.ico",
		"https://FRONT.example:443/en": "/ /en /favicon.ico",
		"https://elsewhere.example/":   "/",
		"//elsewhere.example/":         "/",
		"http://front.example/en":      "/",
		"https://front.example:8443/":  "/",
		"https://a@front.example/":     "/",
		"https://":                     "/",
	} {
		s := serve(t, "h2", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				w.Header()["Location"] = []string{to}
				w.WriteHeader(http.StatusFound)
			}
		})
		err := s.visit(t, &Site{}, "chromium")
		if got := s.paths(); got != want || want == "/" && err == nil {
			t.Errorf("%q: got %s, %v, want %s", to, got, err, want)
		}
	}
	around := serve(t, "h2", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	if err := around.visit(t, &Site{}, "chromium"); err == nil {
		t.Error("it was led on and on")
	}
	if n := len(around.take()); n != 1+maxRedirects {
		t.Errorf("it asked %d times", n)
	}
}

// What a page may have a client ask for, and keep, is bounded.
func TestAPageIsBounded(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, `<img src="/%d.png"><script src="/%d.js"></script>`, i, i)
	}
	s := serve(t, "h2", func(w http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			http.SetCookie(w, &http.Cookie{Name: fmt.Sprint("c", i), Value: strings.Repeat("v", 300), Path: "/"})
		}
		w.Header().Set("Etag", `"`+strings.Repeat("x", 2*maxTag)+`"`)
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path == "/" {
			io.WriteString(w, text.String())
		}
	})
	site := &Site{}
	s.visit(t, site, "chromium") // so large a header may be refused
	if n := len(s.take()); n > 2+maxParts {
		t.Errorf("got %d requests", n)
	}
	if n := len(site.Cookies(time.Now())); n > maxCookieLen || site.kept["/"].tag != "" {
		t.Errorf("got %d bytes of cookies, and a validator of %d", n, len(site.kept["/"].tag))
	}
}

// packed is a page in each of the ways that browsers say they read.
func packed(t *testing.T, way string, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch way {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "br":
		w = brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 5, LGWin: 22})
	case "zstd":
		w, _ = zstd.NewWriter(&b, zstd.WithWindowSize(1<<20))
	default:
		return text
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}

func TestAPackedPageIsRead(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"gzip", "br", "zstd"} {
		for _, size := range []int{0, 100, 8 << 20} { // the last swells to thirty times what is read of it
			body := packed(t, way, append([]byte(page), bytes.Repeat([]byte(" "), size)...))
			s := serve(t, "h2", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					w.Header().Set("Content-Encoding", way)
					w.Header().Set("Content-Type", "text/html")
					w.Write(body)
				}
			})
			if err := s.visit(t, &Site{}, "chromium"); err != nil {
				t.Errorf("%s, %d bytes: %v", way, len(body), err)
			}
			if got := s.paths(); !strings.Contains(got, "/script.js") {
				t.Errorf("%s, %d bytes: got %s", way, len(body), got)
			}
		}
	}
	for way, text := range map[string]string{"gzip": "no gzip", "br": "\xff", "zstd": "no", "compress": page} {
		a := &http.Response{Header: http.Header{"Content-Encoding": {way}}, Body: io.NopCloser(strings.NewReader(text))}
		if _, err := io.ReadAll(plain(a)); err == nil {
			t.Errorf("%s: it was read", way)
		}
	}
}

// A brotli stream, or one of zstd, may ask for a window of 16 MB and more.
func TestAPageWithALargeWindowIsNotRead(t *testing.T) {
	t.Parallel()
	var wide bytes.Buffer
	b := brotli.NewWriterOptions(&wide, brotli.WriterOptions{Quality: 5, LGWin: 24})
	b.Write(bytes.Repeat([]byte(page), 40_000))
	b.Close()
	var z bytes.Buffer
	e, err := zstd.NewWriter(&z, zstd.WithWindowSize(32<<20))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(e, io.LimitReader(rand.Reader, 40<<20))
	e.Close()
	for way, body := range map[string][]byte{"br": wide.Bytes(), "zstd": z.Bytes()} {
		a := &http.Response{Header: http.Header{"Content-Encoding": {way}}, Body: io.NopCloser(bytes.NewReader(body))}
		if n, err := io.Copy(io.Discard, plain(a)); err == nil || n > 1<<20 {
			t.Errorf("%s: got %d bytes, %v", way, n, err)
		}
	}
}

// A server that says nothing, cuts, or speaks another protocol ends a visit at its deadline, at the latest.
func TestAVisitEndsWhateverTheServerDoes(t *testing.T) {
	both(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page)
			return
		}
		<-r.Context().Done()
	}, func(t *testing.T, s *server, name string) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		conn := s.connect(t, name)
		if err := (&Site{}).Visit(ctx, conn, host); err == nil {
			t.Error("got no error")
		}
		if _, err := conn.NetConn().Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the connection is still open: %v", err)
		}
	})
}

// An HTTP/1.1 server that closes after each answer gets no more requests by that connection.
func TestAConnectionThatEndsIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, "http/1.1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		ordinary(w, r)
	})
	if err := s.visit(t, &Site{}, "firefox"); err == nil {
		t.Error("got no error")
	}
	if got := s.paths(); got != "/" {
		t.Errorf("got %s", got)
	}
}
