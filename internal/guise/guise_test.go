package guise

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/internal/selfsigned"
)

// serve runs a server as the programs do, and returns its address.
func serve(t *testing.T, secure *tls.Config, h http.HandlerFunc) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := Listen(ln, secure)
	for ln, second := range map[net.Listener]bool{l: false, l.HTTP2(): true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!second)
		protocols.SetUnencryptedHTTP2(second)
		srv := &http.Server{Handler: Handler(h), ConnContext: WithConn, Protocols: protocols, MaxHeaderBytes: 16 << 10,
			DisableGeneralOptionsHandler: true, ReadHeaderTimeout: patience}
		go srv.Serve(ln)
		t.Cleanup(func() { srv.Close() })
	}
	return ln.Addr().String()
}

const patience = 10 * time.Second

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"1"`)
	w.Header().Set("Accept-Ranges", "none")
	io.WriteString(w, "hello\n")
}

func dial(t *testing.T, at string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

var date = regexp.MustCompile(`Date: [A-Z][a-z]{2}, [^\r]+ GMT\r\n`)

// ask sends bytes and returns what comes until the server hangs up.
func ask(t *testing.T, at, raw string) string {
	t.Helper()
	c := dial(t, at)
	io.WriteString(c, raw)
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("%.40q: got %v", raw, err)
	}
	return date.ReplaceAllString(string(got), "Date: then\r\n")
}

const refused = "HTTP/1.1 %s\r\nServer: nginx\r\nDate: then\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n" +
	"Connection: close\r\n\r\n%s"

// What nginx 1.22 answers.
func TestWhatIsMalformedIsAnsweredAsByNginx(t *testing.T) {
	t.Parallel()
	at := serve(t, nil, hello)
	long := strings.Repeat("a", 9000)
	for raw, want := range map[string]int{
		"GET / HTTP/1.1\r\n\r\n":                                                                   400, // no Host
		"GET / HTTP/1.1\r\nHost:\r\n\r\n":                                                          400,
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                             400,
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":                                                      400,
		"nonsense\r\n\r\n":                                                                         400,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n":                                         400, // TLS
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                         400,
		"GET * HTTP/1.1\r\nHost: a\r\n\r\n":                                                        400,
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n":                                                    400,
		"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n":                                                  400,
		"get / HTTP/1.1\r\nHost: a\r\n\r\n":                                                        400,
		"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n":                                                     400,
		"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n":                                                     400,
		"GET /a/../.. HTTP/1.1\r\nHost: a\r\n\r\n":                                                 400,
		"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n":                                            400,
		"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n":                                                      405,
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n":                                                        505,
		"GET /" + long + " HTTP/1.1\r\nHost: a\r\n\r\n":                                            414,
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + long + "\r\n\r\n":                                     headerTooLarge,
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: "+long[:7000]+"\r\n", 3) + "\r\n":     headerTooLarge,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n":                            501,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n":                                  400,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n":           200,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nexpect: something else\r\nX: y\r\n\r\n": 200,
		"GET / HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nIf-Match: *\r\n\r\n":                          400,
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: x\r\n\r\n":                              400,
		"GET / HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\nX[: y\r\n\r\n":                        200,
		"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n":                                                     400,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n":              400,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\nTransfer-Encoding: x\r\n\r\n":        400,
		"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n":     400,
		"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n":     400,
		"GET /#/../../%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                        200,
		"GET /..#/ HTTP/1.1\r\nHost: a\r\n\r\n":                                                    400,
		"GET / HTTP/1.1\r\nHost: :80\r\n\r\n":                                                      400,
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n":                            200,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: \x01\r\n\r\n":                        200,
		"GET / HTTP/1.0\r\n\r\n":                                                                   200,
		"GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                           200,
	} {
		line := fmt.Sprintf("%d %s", shown(want), reason(shown(want)))
		exact := fmt.Sprintf(refused, line, len(page(want)), page(want))
		if want == 200 {
			exact = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: then\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n" +
				"Connection: close\r\nETag: \"1\"\r\nAccept-Ranges: none\r\n\r\nhello\n"
		}
		if got := ask(t, at, raw); got != exact {
			t.Errorf("%.60q: got %q, want %q", raw, got, exact)
		}
	}
}

// The second answer of a connection is as the first, and what is malformed behind good requests is told like anything else.
func TestAConnectionThatIsKeptLooksTheSameAllAlong(t *testing.T) {
	t.Parallel()
	at := serve(t, nil, hello)
	const one = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	got := ask(t, at, one+one+"nonsense\r\n\r\n")
	answer := "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: then\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n" +
		"Connection: keep-alive\r\nETag: \"1\"\r\nAccept-Ranges: none\r\n\r\nhello\n"
	if want := answer + answer + fmt.Sprintf(refused, "400 Bad Request", len(page(400)), page(400)); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnAnswerThatIsLongOrInPartsComesWhole(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 10_000)
	at := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name := range 300 {
			w.Header().Set(fmt.Sprintf("X-%d", name), long[:20]) // more than net/http writes at once
		}
		for part := long; part != ""; part = part[1000:] {
			io.WriteString(w, part[:1000])
			http.NewResponseController(w).Flush()
		}
	})
	c := dial(t, at)
	for range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
		in := bufio.NewReader(c)
		res, err := http.ReadResponse(in, nil)
		if err == nil && res.StatusCode == http.StatusContinue {
			res, err = http.ReadResponse(in, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); err != nil || string(got) != long || res.Header.Get("X-299") != long[:20] {
			t.Fatalf("got %d bytes and %v, want the answer whole", len(got), err)
		}
	}
}

// Whoever takes the connection over gets what the listener beneath has accepted, and writes as it likes.
func TestWhoTakesAConnectionOverGetsWhatIsBeneath(t *testing.T) {
	t.Parallel()
	at := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if _, ok := c.(*net.TCPConn); !ok {
			t.Errorf("got %T, want the TCP connection", c)
		}
		rw.WriteString("HTTP/1.1 101 As it is\r\n\r\n")
		rw.Flush()
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")
	})
	const want = "HTTP/1.1 101 As it is\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	if got := ask(t, at, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What has come behind the head is either the WebSocket's, as it is, or more requests.
func TestWhatComesBehindAnUpgradeIsForWhoeverTakesItOver(t *testing.T) {
	t.Parallel()
	at := serve(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/taken" {
			io.WriteString(w, r.Header.Get("X"))
			return
		}
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		buffered, _ := rw.Peek(rw.Reader.Buffered())
		got := make([]byte, 40)
		n, _ := io.ReadFull(io.MultiReader(bytes.NewReader(buffered), c), got)
		c.Write(got[:n])
	})
	const head, raw = " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nX: \x01\r\n\r\n", "any\nX: \x01\nExpect: \x01 twenty-odd more bytes"
	c := dial(t, at)
	io.WriteString(c, "GET /"+head+"GET /"+head+"GET /taken"+head+raw[:10])
	in := bufio.NewReader(c)
	for range 2 {
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || string(body) != "?" {
			t.Errorf("got %s and %q, want the page", res.Status, body)
		}
	}
	io.WriteString(c, raw[10:40])
	if got, _ := io.ReadAll(in); string(got) != raw[:40] {
		t.Errorf("got %q, want %q", got, raw[:40])
	}
}

func TestAPassingProxyMayNameAnotherServer(t *testing.T) {
	t.Parallel()
	at := serve(t, nil, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Server", "Apache") })
	if got := ask(t, at, "GET / HTTP/1.0\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\nServer: Apache\r\nDate: then\r\n") {
		t.Errorf("got %q, want the other's name", got)
	}
}

// certified is a server's end of TLS.
func certified(t *testing.T) *tls.Config {
	t.Helper()
	cert, err := selfsigned.Make(time.Now(), 48*time.Hour, "a")
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2", "http/1.1"}}
}

func TestHTTPWhereTLSIsSpokenIsAnsweredAsByNginx(t *testing.T) {
	t.Parallel()
	at := serve(t, certified(t), hello)
	want := fmt.Sprintf(refused, "400 Bad Request", len(page(plainToTLS)), page(plainToTLS))
	for _, raw := range []string{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat("x", 10000)} {
		if got := ask(t, at, raw); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	c := dial(t, at)
	io.WriteString(c, "\x00\x00\x00\x00\x00\x00")
	if got, _ := io.ReadAll(c); strings.Contains(string(got), "HTTP") {
		t.Errorf("got %q for what is neither, want no page", got)
	}
}

func TestBothVersionsAreSpokenWithTLS(t *testing.T) {
	t.Parallel()
	at := serve(t, certified(t), hello)
	for _, version := range []int{1, 2} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == 1)
		protocols.SetHTTP2(version == 2)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, Protocols: protocols}}
		for range 2 {
			res, err := client.Get("https://" + at + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(body) != "hello\n" || res.ProtoMajor != version || res.Header.Get("Server") != "nginx" {
				t.Errorf("got %q, %s and %v, want hello over HTTP/%d", body, res.Proto, err, version)
			}
		}
		client.CloseIdleConnections()
	}
}
