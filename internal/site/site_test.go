package site

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/internal/guise"
)

// date is the one header that may differ between two answers.
var date = regexp.MustCompile(`Date: [^\r]+\r\n`)

// newServer shows the site as the programs do, and returns its address.
func newServer(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: guise.Handler(Handler()), ConnContext: guise.WithConn}
	go srv.Serve(guise.Listen(ln, nil))
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

// visit sends raw bytes to a server that shows the site, and returns all that
// comes back until the connection ends or one answer is complete.
func visit(t *testing.T, raw string) string {
	t.Helper()
	conn, err := net.Dial("tcp", newServer(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	in := bufio.NewReader(io.TeeReader(conn, &seen))
	method, _, _ := strings.Cut(raw, " ")
	answer, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, answer.Body)
	if !date.MatchString(seen.String()) {
		t.Errorf("got no Date header in %q", seen.String())
	}
	return date.ReplaceAllString(seen.String(), "Date: then\r\n")
}

const host = " HTTP/1.1\r\nHost: a\r\n"

func TestRefusalsAreTheSameBytesAsAPlainVisit(t *testing.T) {
	t.Parallel()
	dress := map[string]string{
		"a WebSocket upgrade": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"an upgrade without a key": "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		"another version":          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 7\r\n",
		"another protocol":         "Connection: Upgrade\r\nUpgrade: h2c\r\n",
		"a forged token":           "Cookie: session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n",
		"an authorization":         "Authorization: Bearer x\r\n",
		"a proxy's headers":        "X-Forwarded-For: 10.0.0.1\r\nVia: 1.1 x\r\n",
		"no compression":           "Accept-Encoding: gzip;q=0, br\r\n",
		"compression by a proxy":   "Accept-Encoding: gzip\r\nVia: 1.1 x\r\n",
		"an Origin":                "Origin: https://a\r\n",
		"an empty body":            "Content-Length: 0\r\n",
		"an odd expectation":       "Expect: the-unexpected\r\n",
		"subprotocols, extensions": "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
	}
	for _, at := range []string{"/", "/about.html", "/style.css", "/no-such-page", "/api/v1?x=y"} {
		plain := visit(t, "GET "+at+host+"\r\n")
		for name, headers := range dress {
			if got := visit(t, "GET "+at+host+headers+"\r\n"); got != plain {
				t.Errorf("%s with %s: got %q, want %q", at, name, got, plain)
			}
		}
	}
}

func TestEveryPageAnswersWithItsTypeAndConstantValidators(t *testing.T) {
	t.Parallel()
	for at, kind := range map[string]string{
		"/": "text/html", "/index.html": "text/html", "/style.css": "text/css", "/robots.txt": "text/plain", "/favicon.ico": "image/x-icon",
		"//./index.html": "text/html",
	} {
		got := visit(t, "GET "+at+host+"\r\n")
		for _, want := range []string{"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: then\r\nContent-Type: " + kind, "\r\nContent-Length: ",
			"\r\nETag: \"", "\r\nLast-Modified: Sun, 12 Oct 2025 16:20:07 GMT\r\n", "\r\nAccept-Ranges: bytes\r\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q in it", at, got, want)
			}
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	index := First().files["/index.html"]
	tag := index.etag(index.body)
	for _, c := range []struct{ name, raw, want string }{
		{"missing page", "GET /x" + host + "\r\n", "404 Not Found"},
		{"a page within a page", "GET /index.html/" + host + "\r\n", "404 Not Found"},
		{"the page of what is missing", "GET /404.html" + host + "\r\n", "404 Not Found"},
		{"climbing out", "GET /../../etc/passwd" + host + "\r\n", "400 Bad Request"},
		{"head", "HEAD /" + host + "\r\n", "200 OK"},
		{"head of a missing page", "HEAD /x" + host + "\r\n", "404 Not Found"},
		{"post", "POST /" + host + "Content-Length: 0\r\n\r\n", "405 Not Allowed"},
		{"post elsewhere", "POST /x" + host + "Content-Length: 0\r\n\r\n", "404 Not Found"},
		{"put elsewhere", "PUT /x" + host + "Content-Length: 0\r\n\r\n", "405 Not Allowed"},
		{"unknown method", "BREW /" + host + "\r\n", "405 Not Allowed"},
		{"same tag", "GET /" + host + "If-None-Match: " + tag + "\r\n\r\n", "304 Not Modified"},
		{"same tag, weakly, among others", "GET /" + host + "If-None-Match: \"y\", W/" + tag + "\r\n\r\n", "304 Not Modified"},
		{"other tag", "GET /" + host + "If-None-Match: \"x\"\r\n\r\n", "200 OK"},
		{"tag that must match", "GET /" + host + "If-Match: \"x\"\r\n\r\n", "412 Precondition Failed"},
		{"tag that does match", "GET /" + host + "If-Match: " + tag + "\r\n\r\n", "200 OK"},
		{"not changed since", "GET /" + host + "If-Modified-Since: Sun, 12 Oct 2025 16:20:07 GMT\r\n\r\n", "304 Not Modified"},
		{"changed since", "GET /" + host + "If-Modified-Since: Sun, 12 Oct 2025 16:20:06 GMT\r\n\r\n", "200 OK"},
		{"another day, which nginx does not weigh", "GET /" + host + "If-Modified-Since: Sun, 12 Oct 2025 16:20:08 GMT\r\n\r\n", "200 OK"},
		{"changed before", "GET /" + host + "If-Unmodified-Since: Sun, 12 Oct 2025 16:20:06 GMT\r\n\r\n", "412 Precondition Failed"},
		{"part", "GET /" + host + "Range: bytes=0-9\r\n\r\n", "206 Partial Content"},
		{"the end", "GET /" + host + "Range: bytes=-9\r\n\r\n", "206 Partial Content"},
		{"a part of another page", "GET /" + host + "Range: bytes=0-9\r\nIf-Range: \"x\"\r\n\r\n", "200 OK"},
		{"beyond the end", "GET /" + host + "Range: bytes=99999999999999999999-\r\n\r\n", "416 Requested Range Not Satisfiable"},
		{"backwards", "GET /" + host + "Range: bytes=9-1\r\n\r\n", "416 Requested Range Not Satisfiable"},
		{"several parts", "GET /" + host + "Range: bytes=0-1,3-4\r\n\r\n", "200 OK"},
	} {
		got, _, _ := strings.Cut(visit(t, c.raw), "\r\n")
		if want := "HTTP/1.1 " + c.want; got != want {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/", "/index.html", "/nowhere"} {
		get, _, _ := strings.Cut(visit(t, "GET "+at+host+"\r\n"), "\r\n\r\n")
		if head := visit(t, "HEAD "+at+host+"\r\n"); head != get+"\r\n\r\n" {
			t.Errorf("%s: got %q, want %q", at, head, get+"\r\n\r\n")
		}
	}
}

func TestAPageComesPackedToWhoTakesThat(t *testing.T) {
	t.Parallel()
	plain := visit(t, "GET /"+host+"\r\n")
	head, body, _ := strings.Cut(visit(t, "GET /"+host+"Accept-Encoding: br, GZip;q=0.5\r\n\r\n"), "\r\n\r\n")
	for _, want := range []string{"\r\nContent-Encoding: gzip", "\r\nVary: Accept-Encoding", "\r\nETag: \""} {
		if !strings.Contains(head, want) {
			t.Errorf("got %q, want %q in it", head, want)
		}
	}
	unpacked, err := gzip.NewReader(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	io.Copy(&page, unpacked)
	if _, want, _ := strings.Cut(plain, "\r\n\r\n"); page.String() != want || len(body) >= len(want) {
		t.Errorf("got %d bytes of another page, want fewer of the same", len(body))
	}
}

func TestABodyIsNotAwaited(t *testing.T) {
	t.Parallel()
	// The bodies never come. Long, short and chunked ones get one answer.
	long := visit(t, "POST /"+host+"Content-Length: 1000000000\r\n\r\n")
	for _, headers := range []string{"Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n",
		"Content-Length: 5\r\nExpect: 100-continue\r\n"} {
		if got := visit(t, "POST /"+host+headers+"\r\n"); got != long {
			t.Errorf("%q: got %q, want %q", headers, got, long)
		}
	}
}
