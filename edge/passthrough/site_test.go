package passthrough

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/internal/site"
	"culvert/test/nobody"
	"culvert/test/ports"
)

var date = regexp.MustCompile(`Date: [^\r]+\r\n`)

// look sends a request and returns the answer's bytes but for its date.
func look(t *testing.T, at string, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	var seen strings.Builder
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &seen)), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return date.ReplaceAllString(seen.String(), "Date: then\r\n")
}

func TestNobodySeesWhetherTheOriginIsThere(t *testing.T) {
	t.Parallel()
	origin := serve(t, false, site.Handler())
	failing := func(do http.HandlerFunc) string { return serve(t, false, do).URL }
	edges := map[string]string{
		"gone":     "http://" + nobody.Addr(t).String(),
		"failing":  failing(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }),
		"dying":    failing(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
		"confused": failing(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusSwitchingProtocols) }),
		"behind another server": failing(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Server", "nginx")
			w.Header().Set("Via", "1.1 x")
			site.Handler().ServeHTTP(w, r)
		}),
		"there": origin.URL,
	}
	for name, to := range edges {
		edges[name] = serve(t, false, newProxy(t, to, Options{})).Listener.Addr().String()
	}
	const host = " HTTP/1.1\r\nHost: edge.example\r\n"
	for _, request := range []string{
		"GET /" + host + "\r\n", "GET /about.html?a=b" + host + "\r\n", "GET /style.css" + host + "\r\n", "GET /none" + host + "\r\n",
		"HEAD /" + host + "\r\n", "HEAD /none" + host + "\r\n", "OPTIONS /" + host + "\r\n", "DELETE /x" + host + "\r\n",
		"GET /" + host + "If-Modified-Since: Sun, 12 Oct 2025 16:20:07 GMT\r\n\r\n",
		"GET /" + host + "Range: bytes=1-5\r\n\r\n",
		"GET /" + host + "Accept-Encoding: gzip\r\n\r\n",
		"GET /" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		"GET /" + host + "Connection: close\r\n\r\n",
		"POST /" + host + "Content-Length: 0\r\n\r\n",
		"POST /" + host + "Content-Length: 100000\r\n\r\n",
		"POST /" + host + "Transfer-Encoding: chunked\r\n\r\n",
		"GET /" + host + "Content-Length: 5\r\n\r\nhello",
		upgrade + "\r\n", strings.Replace(upgrade, "/door", "/", 1) + "\r\n",
	} {
		want := look(t, origin.Listener.Addr().String(), request)
		for name, at := range edges {
			if got := look(t, at, request); got != want {
				t.Errorf("origin is %s, %q: got\n%q, want\n%q", name, request, got, want)
			}
		}
	}
}

func TestAnOriginThatCannotProveItselfIsNotAsked(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	origin := serve(t, true, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	origin.Config.ErrorLog = nil
	edge := serve(t, false, newProxy(t, origin.URL, Options{})) // system roots do not know it
	look(t, edge.Listener.Addr().String(), upgrade+"\r\n")
	if len(asked) > 0 {
		t.Error("the origin was asked, want no request")
	}
}

func TestTheOriginHearsNothingAboutTheUser(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	r := newRig(t, false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r }), Options{})
	noise := ""
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded", "X-Real-Ip", "True-Client-Ip",
		"Cf-Connecting-Ip", "Cloudfront-Viewer-Address", "Cloudfront-Viewer-City", "X-Client-Ip", "X-Cluster-Client-Ip",
		"Fastly-Client-Ip", "X-Original-Forwarded-For", "Via", "User-Agent", "Origin", "Referer", "Accept-Language", "X-Amzn-Trace-Id",
		"Authorization", "Proxy-Authorization", "X-Anything"} {
		noise += name + ": 192.0.2.7\r\n"
	}
	for request, want := range map[string][]string{
		upgrade + noise + "\r\n": {"Connection", "Cookie", "Sec-Websocket-Key", "Sec-Websocket-Version", "Upgrade"},
		"GET /door HTTP/1.1\r\nHost: edge.example\r\nCookie: session=token\r\nIf-None-Match: \"x\"\r\n" + noise + "\r\n": {
			"Cookie", "If-None-Match"},
		"GET /door HTTP/1.1\r\nHost: edge.example\r\nCookie: session=token\r\nConnection: Upgrade, Cookie2\r\nUpgrade: h2c\r\n\r\n": {"Cookie"},
	} {
		look(t, r.edge.Listener.Addr().String(), request)
		got := <-seen
		if names := slices.Sorted(maps.Keys(got.Header)); !slices.Equal(names, want) {
			t.Errorf("got headers %v, want %v", names, want)
		}
		if where := r.origin.Listener.Addr().String(); got.Host != where {
			t.Errorf("got host %q, want %q", got.Host, where)
		}
		if got.Header.Get("Cookie") != "session=token" || got.URL.Path != "/door" {
			t.Errorf("got cookie %q and path %q, want what was sent", got.Header.Get("Cookie"), got.URL.Path)
		}
	}
}

// serveAt is httptest.NewServer at an address that was chosen before, until the test ends.
func serveAt(t *testing.T, at string, h http.Handler) *httptest.Server {
	t.Helper()
	ln, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func TestAnOriginThatComesBackIsUsedAgain(t *testing.T) {
	t.Parallel()
	answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") })
	at := ports.Loopback()
	first := serveAt(t, at, answer)
	var log bytes.Buffer
	proxy := newProxy(t, first.URL, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	edge := serve(t, false, proxy).Listener.Addr().String()
	const request = "GET /about.html HTTP/1.1\r\nHost: a\r\n\r\n"
	if got := look(t, edge, request); !strings.HasSuffix(got, "here") {
		t.Fatalf("before: got %q, want the origin's answer", got)
	}
	first.Close()
	for range 3 {
		if got := look(t, edge, request); strings.HasSuffix(got, "here") {
			t.Fatalf("meanwhile: got %q, want the site", got)
		}
	}
	serveAt(t, at, answer)
	if got := look(t, edge, request); !strings.HasSuffix(got, "here") {
		t.Errorf("afterwards: got %q, want the origin's answer", got)
	}
	if got := log.String(); strings.Count(got, "\n") != 2 || strings.Contains(got, at) {
		t.Errorf("got log %q, want a line when it went, one when it came back, and no address", got)
	}
}

func (s *sockets) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("got nothing, want it to have happened")
		}
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
