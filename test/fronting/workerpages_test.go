package fronting

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What an origin answers passes a worker unchanged, but for what is of the connection or names a program.
func TestAWorkerPassesAPageOnAsItCame(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				w.Header().Set("Content-Encoding", "gzip")
			}
			for name, value := range map[string]string{"Server": "x", "Keep-Alive": "timeout=5", "Content-Length": "4"} {
				w.Header().Set(name, value)
			}
			http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
			http.SetCookie(w, &http.Cookie{Name: "b", Value: "2"})
			fmt.Fprint(w, "page")
		}))
		defer origin.Close()
		w := newGatedWorld(t, gateSecret)
		at := run(origin.URL)
		for name, header := range map[string][]string{"a visit": nil, "a socket refused": upgrade("Cookie", w.token())} {
			const want = "200\nContent-Length: 4\r\nContent-Type: text/plain; charset=utf-8\r\nServer: nginx\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\npage"
			if got := (attempt{name: name, method: "GET", path: "/", header: header}).seen(t, at); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
}

// What a platform answers before a Worker is asked, Deno and Node.js ask edge/worker/deno.js.
func TestAWorkerOfNoPlatformAnswersOddRequestsAsAnEdgeDoes(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		if strings.Contains(t.Name(), "workerd") {
			t.Skip("the platform answers")
		}
		at := run("ftp://127.0.0.1") // which is no origin: the website that is here
		for head, want := range map[string]int{
			"GET /%zz":                          400,
			"GET http://example.com/nope":       404,
			"GET http://example.com/about.html": 200,
			"CONNECT example.com:443":           400,
			"GET *":                             400,
		} {
			if got := statusOf(t, at, head); got != want {
				t.Errorf("%s: got %d, want %d", head, got, want)
			}
		}
	})
}

// statusOf is what a request is answered that http.Client does not send.
func statusOf(t *testing.T, at, head string) int {
	t.Helper()
	c, err := net.Dial("tcp", at)
	must(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(socketLimit))
	fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", head)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	res.Body.Close()
	return res.StatusCode
}
