package listener

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// helpPage is what the tests' listeners show.
const helpPage = "<!doctype html><title>A proxy</title>"

func showHelp(*http.Request, bool) string { return helpPage }

// bothWays are connections to a listener, plain and inside TLS.
func bothWays(t *testing.T, address string) []net.Conn {
	return []net.Conn{connectTo(t, address), tls.Client(connectTo(t, address), &tls.Config{InsecureSkipVerify: true})}
}

// goes is what browsers send when a person goes to an address.
const goes = "\r\nUpgrade-Insecure-Requests: 1\r\n"

func TestAPersonsBrowserSeesTheHelpPage(t *testing.T) {
	t.Parallel()
	address, _ := loopback(t, &Listener{Host: "proxy.example", Page: showHelp})
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: " + address:                                 helpPage,
		"GET / HTTP/1.1\r\nHost: 127.0.0.1":                                  helpPage,
		"GET /favicon.ico HTTP/1.0\r\nHost: localhost:5222":                  helpPage,
		"GET / HTTP/1.1\r\nHost: proxy.example:5222\r\nSec-Fetch-Site: none": helpPage,
		"HEAD / HTTP/1.1\r\nHost: " + address:                                "",
	} {
		method, _, _ := strings.Cut(request, " ")
		for _, browser := range bothWays(t, address) {
			io.WriteString(browser, request[:9])
			io.WriteString(browser, request[9:]+goes+"\r\n")
			got, err := http.ReadResponse(bufio.NewReader(browser), &http.Request{Method: method})
			if err != nil {
				t.Fatalf("%q: %v", request, err)
			}
			body, err := io.ReadAll(got.Body)
			if got.StatusCode != 200 || string(body) != want || err != nil || !got.Close {
				t.Errorf("%q: got %d, %q, %v, close %v; want 200, %q, closed", request, got.StatusCode, body, err, got.Close, want)
			}
			browser.Close()
		}
	}
}

func TestNoPageOfTheWebGetsAnAnswer(t *testing.T) {
	t.Parallel()
	address, _ := loopback(t, &Listener{Host: "proxy.example", Page: showHelp})
	own := "Host: " + address + "\r\n"
	for name, request := range map[string]string{
		"a name that leads here":        "GET / HTTP/1.1\r\nHost: rebound.example:5222\r\n",
		"an address of another machine": "GET / HTTP/1.1\r\nHost: 192.0.2.1:5222\r\n",
		"no host":                       "GET / HTTP/1.1\r\n",
		"an empty host":                 "GET / HTTP/1.1\r\nHost:\r\n",
		"a script's request":            "GET / HTTP/1.1\r\n" + own + "Origin: https://a.example\r\n",
		"a hidden script's request":     "GET / HTTP/1.1\r\n" + own + "Origin: null\r\n",
		"a picture in a page":           "GET / HTTP/1.1\r\n" + own + "Sec-Fetch-Site: cross-site\r\n",
		"a form":                        "POST / HTTP/1.1\r\n" + own + "Content-Length: 0\r\n",
		"a preflight":                   "OPTIONS / HTTP/1.1\r\n" + own,
		"a proxy's client":              "CONNECT " + address + " HTTP/1.1\r\n" + own,
		"an absolute URL":               "GET http://rebound.example/ HTTP/1.1\r\n" + own,
		"a WebSocket":                   "GET / HTTP/1.1\r\n" + own + "Connection: Upgrade\r\nUpgrade: websocket\r\n",
		"a body":                        "GET / HTTP/1.1\r\n" + own + "Content-Length: 3\r\n",
		"an endless header":             "GET / HTTP/1.1\r\n" + own + "X: " + strings.Repeat("x", maxRequest) + "\r\n",
		"no HTTP":                       "GET me that\r\n",
	} {
		for _, page := range bothWays(t, address) {
			io.WriteString(page, strings.TrimSuffix(request, "\r\n")+goes+"\r\n")
			if b, _ := io.ReadAll(page); len(b) > 0 {
				t.Errorf("%s: got %q, want an end without a byte", name, b)
			}
			page.Close()
		}
	}
}

// Browsers say nothing of a page that asks for a picture at an address of the network.
func TestAPictureAtAnAddressOfTheNetworkGetsNoAnswer(t *testing.T) {
	t.Parallel()
	r, at := &reception{}, &net.TCPAddr{IP: net.IPv4(192, 168, 1, 7), Port: 5222}
	for name, c := range map[string]struct {
		header string
		want   bool
	}{
		"a person":                {"Upgrade-Insecure-Requests: 1\r\n", true},
		"a picture":               {"", false},
		"a script's request":      {"Accept: */*\r\nReferer: http://a.example/\r\n", false},
		"what says it will not":   {"Upgrade-Insecure-Requests: 0\r\n", false},
		"what names it elsewhere": {"Access-Control-Request-Headers: upgrade-insecure-requests\r\n", false},
	} {
		q, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: 192.168.1.7:5222\r\n" + c.header + "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.isPersons(q, at); got != c.want {
			t.Errorf("%s: got an answer: %v, want %v", name, got, c.want)
		}
	}
}

// However a request is written, nobody gets an answer under a name that is not ours.
func FuzzPage(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: 127.0.0.1:5222" + goes + "\r\n")
	f.Add("GET http://a.example/ HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n")
	r, at := &reception{}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 5222}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || !r.isPersons(q, at) {
			return
		}
		host := strings.ToLower(q.Host)
		if !strings.Contains(host, "localhost") && !strings.Contains(host, "127.0.0.1") && !strings.Contains(host, "7f00:1") || q.Header.Get("Origin") != "" || q.Header.Get("Upgrade-Insecure-Requests") == "" {
			t.Errorf("answered %q", text)
		}
	})
}
