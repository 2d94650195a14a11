package probing

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"culvert/internal/selfsigned"
	"culvert/internal/site"
	"culvert/test/ports"
)

// nginxConfig is how a website is served that looks as ours does: the folder, and where to listen in plain HTTP and
// with TLS.
const nginxConfig = `
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/log;
events { worker_connections 64; }
http {
  include /etc/nginx/mime.types; default_type application/octet-stream; access_log off; charset utf-8;
  server_tokens off; gzip_static on; gzip_vary on; max_ranges 1; %[4]s
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s; listen %[3]s ssl http2; ssl_certificate %[1]s/cert.pem; ssl_certificate_key %[1]s/cert.pem; ssl_session_tickets on;
    root %[1]s/www; error_page 404 /404.html; location = /404.html { internal; }
  }
}
`

// newNginx serves the pages of the origin's site. It returns its addresses.
func (w *world) newNginx(more string) (plain, secure string) {
	w.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		path = "/usr/sbin/nginx"
	}
	w.writePages(filepath.Join(w.dir, "www"))
	plain, secure = ports.Loopback(), ports.Loopback()
	config := w.write("nginx.conf", fmt.Sprintf(nginxConfig, w.dir, plain, secure, more))
	p := exec.Command(path, "-e", filepath.Join(w.dir, "log"), "-c", config)
	if err := p.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { p.Process.Kill(); p.Wait() })
	w.up(plain)
	return plain, secure
}

// up waits until somebody listens.
func (w *world) up(at string) {
	w.Helper()
	for range 500 {
		if c, err := net.Dial("tcp", at); err == nil {
			c.Close()
			return
		}
		time.Sleep(10 * time.Millisecond) // for another program
	}
	w.Fatalf("nothing listens at %s", at)
}

func (w *world) write(name, text string) string {
	w.Helper()
	name = filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
	return name
}

// writePages makes a folder of the site, as it is and packed.
func (w *world) writePages(dir string) {
	w.Helper()
	os.Chmod(w.dir, 0o755)
	for _, at := range append(site.First().Paths(), "/404.html") {
		for ending, coding := range map[string]string{"": "", ".gz": "gzip"} {
			r := httptest.NewRequest(http.MethodGet, at, nil)
			r.Header.Set("Accept-Encoding", coding)
			got := httptest.NewRecorder()
			site.Handler().ServeHTTP(got, r)
			if got.Header().Get("Content-Encoding") != coding {
				continue
			}
			name := w.write("www"+at+ending, got.Body.String())
			if changed, err := http.ParseTime(got.Header().Get("Last-Modified")); err == nil {
				os.Chtimes(name, changed, changed)
			} else {
				os.Chtimes(name, siteChanged, siteChanged) // what is missing has no day
			}
		}
	}
}

// siteChanged is when the page of what is missing changed, as all others.
var siteChanged = time.Date(2025, time.October, 12, 16, 20, 7, 0, time.UTC)

// certificate is a file with one and its key, for 127.0.0.1.
func (w *world) certificate() string {
	w.Helper()
	cert, err := selfsigned.Make(time.Now(), 48*time.Hour, "127.0.0.1")
	if err != nil {
		w.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		w.Fatal(err)
	}
	return w.write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// quiet is how long nothing comes behind an answer whose connection is kept, and silence how long where none has come.
// An answer that comes later fails a test.
const (
	quiet   = 500 * time.Millisecond
	silence = 4 * time.Second
)

// tell sends bytes, and returns what comes back until nothing does, and whether the connection has ended then.
func tell(t *testing.T, c net.Conn, raw string) string {
	t.Helper()
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, raw)
	var seen bytes.Buffer
	b := make([]byte, 64<<10)
	for {
		wait := quiet
		if seen.Len() == 0 {
			wait = silence
		}
		c.SetReadDeadline(time.Now().Add(wait))
		n, err := c.Read(b)
		seen.Write(b[:n])
		var timeout net.Error
		if netError, ok := err.(net.Error); ok {
			timeout = netError
		}
		switch {
		case timeout != nil && timeout.Timeout():
			return date.ReplaceAllString(seen.String(), "Date: then\r\n") + "[open]"
		case err != nil:
			return date.ReplaceAllString(seen.String(), "Date: then\r\n") + "[ended]"
		}
	}
}

const host = " HTTP/1.1\r\nHost: a\r\n"

// probes are what strangers send who want to know what program this is.
func probes() []string {
	long := strings.Repeat("a", 9000)
	all := []string{
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", "GET / HTTP/1.1\r\nHost: .\r\n\r\n", "GET / HTTP/1.1\r\nHost: .a\r\n\r\n", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\"<>{}|^`?#\xff\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", "GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:b:c\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HEAD / HTTP/1.0\r\n\r\n", "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET / HTTP/3\r\n\r\n", "GET / XXXX/1.1\r\nHost: a\r\n\r\n", "GET / http/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.0\r\n\r\n",
		"nonsense\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + long[:500] + "\r\n",
		" GET /" + host + "\r\n", "G\x01T /" + host + "\r\n", "GET /\x01" + host + "\r\n", "GET /a b" + host + "\r\n",
		"GET /" + host + "\r\nGET /nope" + host + "\r\nbad\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET /" + host + "\r\nGET /nope" + host + "Expect: nonsense\r\n\r\n", "brew /" + host + "\r\n",
	}
	for _, line := range []string{"GET /", "HEAD /", "GET /nope", "HEAD /nope", "OPTIONS /", "BREW /", "TRACE /", "CONNECT a:1", "DELETE /nope", "GET *", "OPTIONS *",
		"GET http://a/", "GET nope", "GET /%zz", "GET /%00", "GET /%ff", "GET /../..", "GET /a/../", "GET //", "GET /./index.html", "GET /index.html?x",
		"GET /index%2ehtml", "GET /index.html/", "GET /404.html", "GET /style.css", "GET /favicon.ico", "GET /robots.txt", "GET /#x", "GET /nope#x", "GET /?x#y", "GET /#/../..", "GET /a#/../../b", "GET /nope#%zz", "GET /..#/", "GET /%2#0", "GET /" + long, "GET /?" + long[:5000], "GET /.git/config", "GET /wp-login.php"} {
		all = append(all, line+host+"\r\n")
	}
	for _, header := range []string{
		"Accept-Encoding: gzip, deflate, br", "Accept-Encoding: gzip;q=0", "Accept-Encoding: br", "Accept-Encoding: gzip\r\nVia: 1.1 x", "Accept-Encoding: gzip\r\nIf-None-Match: *",
		"Accept-Encoding: gzip\r\nRange: bytes=0-9",
		"Range: bytes=0-9", "Range: bytes=-9", "Range: bytes=1000-", "Range: bytes=99999-", "Range: bytes=9-1", "Range: bytes=0-1,5-6", "Range: lines=1-2", "Range: bytes=x", "Range: bytes=-",
		"If-Modified-Since: Sun, 12 Oct 2025 16:20:07 GMT", "If-Modified-Since: Sun, 12 Oct 2025 16:20:08 GMT", "If-Modified-Since: yesterday",
		"If-None-Match: *", "If-None-Match: \"x\"", "If-Match: \"x\"", "If-Match: *", "If-Unmodified-Since: Sun, 12 Oct 2025 16:20:06 GMT",
		"If-None-Match: *\r\nIf-Modified-Since: Sun, 12 Oct 2025 16:20:08 GMT",
		"Range: bytes=0-9\r\nIf-Range: \"x\"", "Range: bytes=0-9\r\nIf-Range: Sun, 12 Oct 2025 16:20:07 GMT",
		"Connection: close", "Connection: Upgrade\r\nUpgrade: websocket", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"Expect: nonsense", "no colon", "bad name: x", "under_score: x", ": x", "a: \x00", "X: " + long, strings.TrimSuffix(strings.Repeat("X: "+long[:7000]+"\r\n", 5), "\r\n"),
		"Cookie: " + long[:3000], "a: \x01", "a: \x7f\xff", "Range: bytes=0-1\x01", "If-Modified-Since: \x01", "Cookie: \x01", "a\x01: b", "a[: b", "a\xff: b",
		"Range: bytes=0-1\r\nRange: bytes=2-3", "User-Agent: a\r\nUser-Agent: b", "If-None-Match: *\r\nIf-None-Match: *", "Referer: a\r\nReferer: b",
		"If-Modified-Since: Sun, 12 Oct 2025 16:20:07 GMT\r\nIf-Modified-Since: Sun, 12 Oct 2025 16:20:07 GMT", "Cookie: a\r\nCookie: b",
		"Expect: x\r\nExpect: x", "If-Match: *\r\nIf-Match: *", "If-Unmodified-Since: x\r\nIf-Unmodified-Since: x", "If-Range: \"x\"\r\nIf-Range: \"x\"", "Content-Range: x\r\nContent-Range: x",
		"Authorization: x\r\nAuthorization: x", "Content-Type: x\r\nContent-Type: x", "Accept-Encoding: gzip\r\nAccept-Encoding: gzip", "Upgrade: x\r\nUpgrade: x", "Keep-Alive: x\r\nKeep-Alive: x",
		"Via: x\r\nVia: x", "TE: x\r\nTE: x", "Accept: x\r\nAccept: x", "X-Forwarded-For: x\r\nX-Forwarded-For: x",
	} {
		all = append(all, "GET /"+host+header+"\r\n\r\n")
	}
	for _, header := range []string{"", "Content-Length: 0\r\n", "Content-Length: x\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: identity\r\n",
		"Content-Length: 5\r\nExpect: 100-continue\r\n", "Content-Length: 5\r\nExpect: nonsense\r\n"} {
		all = append(all, "POST /"+host+header+"\r\n", "POST /nope"+host+header+"\r\n", "PUT /"+host+header+"\r\n")
	}
	const length, chunked, gzip = "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n"
	for _, said := range []string{length + length, length + "Content-Length: 1\r\n", chunked + chunked, gzip + gzip, chunked + gzip, gzip + chunked,
		length + chunked, chunked + length, length + gzip, gzip + length} {
		all = append(all, "POST /"+host+said+"\r\n", "GET /nope"+host+"X: y\r\n"+said+"\r\n")
	}
	const upgrade = "GET /" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	all = append(all, "POST /"+host+"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		upgrade+"GET /nope"+host+"a: \x01\r\n\r\n", upgrade+upgrade+"GET /"+host+"Expect: x\r\n\r\n", upgrade+"\x82\x05hello\r\n", upgrade+"bad\r\n\r\n")
	return append(all, slices.Collect(maps.Keys(known))...)
}

// known are the probes that tell our programs from nginx, and why. Whoever finds how a server can do without
// one takes it out.
var known = map[string]string{
	"GET / HTTP/3\r\n\r\n":                                                      "net/http takes it for no version",
	"POST /" + host + "Content-Length: 5\r\n\r\nhello":                          "net/http answers before it has read a body only if the connection ends then",
	"POST /" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n": "nginx waits for the body that it has refused before it ends the connection",
	"GET / HTTP/0.9\r\nHost: a\r\n\r\n":                                         "net/http knows the version, and nginx knows it without its name",
	"GET /\r\n\r\n":                                                             "net/http has no HTTP/0.9",
	"GET /" + host + "folded: a\r\n b\r\n\r\n":                                  "net/http reads what goes on in another line",
	"\r\nGET /" + host + "\r\n":                                                 "nginx reads over empty lines",
	"GET  /" + host + "\r\n":                                                    "nginx reads over spaces",
	"GET / HTTP/1.1 \r\nHost: a\r\n\r\n":                                        "the same",
	"GET /" + host + "Expect: 100-continue\r\n\r\n":                             "nginx says that it goes on, though nothing comes",
}

// Whoever probes the origin or the edge sees nginx.
func TestStrangersSeeNginx(t *testing.T) {
	tries(t)
	w := newWorld(t)
	w.certificate()
	nginx, _ := w.newNginx("")
	var all sync.WaitGroup
	some := make(chan struct{}, 24) // at once: they mostly wait whether more comes
	for _, raw := range probes() {
		some <- struct{}{}
		all.Go(func() {
			defer func() { <-some }()
			want := tell(t, dial(t, nginx), raw)
			for name, at := range map[string]string{"origin": w.origin, "edge": w.edge} {
				got := tell(t, dial(t, at), raw)
				switch why, isKnown := known[raw]; {
				case got != want && !isKnown:
					t.Errorf("%s, %.100q: got\n%.600q, want\n%.600q", name, raw, got, want)
				case got == want && isKnown:
					t.Errorf("%s, %.100q: got the same, which is said not to be: %s", name, raw, why)
				}
			}
		})
	}
	all.Wait()
}

func dial(t *testing.T, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
	return c
}

// The same over TLS: HTTP/1.1, HTTP/2 frame by frame, and plain HTTP where TLS is spoken.
func TestStrangersSeeNginxOverTLS(t *testing.T) {
	tries(t)
	w := newWorld(t)
	cert := w.certificate()
	_, nginx := w.newNginx("ssl_protocols TLSv1.2 TLSv1.3;")
	edge := ports.Loopback()
	w.start("edge", "CULVERT_LISTEN="+edge, "CULVERT_ORIGIN=http://"+w.origin, "CULVERT_TLS_CERT="+cert, "CULVERT_TLS_KEY="+cert)
	for _, raw := range []string{"GET /" + host + "\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"} {
		if got, want := tell(t, dial(t, edge), raw), tell(t, dial(t, nginx), raw); got != want {
			t.Errorf("%q without TLS: got\n%q, want\n%q", raw, got, want)
		}
		if got, want := tell(t, secured(t, edge, "http/1.1"), raw), tell(t, secured(t, nginx, "http/1.1"), raw); raw[0] == 'G' && got != want {
			t.Errorf("%q: got\n%q, want\n%q", raw, got, want)
		}
	}
	for _, c := range []struct {
		sets   bool
		fields [][2]string
	}{
		{false, [][2]string{{":path", "/"}}},
		{true, [][2]string{{":path", "/"}, {"accept-encoding", "gzip"}}},
		{true, [][2]string{{":path", "/nope"}}},
		{false, [][2]string{{":path", "/favicon.ico"}}},
		{false, [][2]string{{":path", "/"}, {"if-none-match", "*"}}},
		{false, [][2]string{{":path", "/"}, {"range", "bytes=1-3"}}},
		{false, [][2]string{{":path", "/"}, {":method", "DELETE"}}},
		{false, [][2]string{{":path", "/"}, {"cookie", "session=" + token(7, w.master, time.Now())}}},
	} {
		got, want := frames(t, edge, c.sets, c.fields), frames(t, nginx, c.sets, c.fields)
		if got != want {
			t.Errorf("%v: got\n%s, want\n%s", c.fields, got, want)
		}
	}
}

func secured(t *testing.T, at, protocol string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.ConnectionState().NegotiatedProtocol; got != protocol {
		t.Fatalf("got %q agreed on, want %s", got, protocol)
	}
	return c
}

// frames are what a server sends to whoever asks twice over one connection, but for dates.
func frames(t *testing.T, at string, sets bool, fields [][2]string) string {
	t.Helper()
	c := secured(t, at, "h2")
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	var settings []http2.Setting
	if sets {
		settings = append(settings, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 65536}, http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	}
	f.WriteSettings(settings...)
	var seen strings.Builder
	for stream := uint32(1); stream <= 3; stream += 2 {
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block(fields), EndHeaders: true, EndStream: true})
		for ended := false; !ended; {
			frame, err := f.ReadFrame()
			if err != nil {
				return seen.String() + err.Error()
			}
			ended = frame.Header().Flags.Has(http2.FlagDataEndStream) && frame.Header().StreamID == stream
			h := frame.Header()
			fmt.Fprintf(&seen, "%v, flags %x, stream %d: %s\n", h.Type, h.Flags, h.StreamID, shownFrame(frame))
		}
	}
	return seen.String()
}
