package listener

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/proxy"

	"culvert/internal/wire"
)

// web runs a listener for browsers.
func web(t *testing.T) (string, <-chan carried) {
	t.Helper()
	return loopback(t, &Listener{Web: true, Script: "/8d1f/proxy.pac"})
}

// services are what names of WhatsApp's lead to.
var services = map[string]wire.Service{
	"g.whatsapp.net:5222":         {Kind: wire.Chat},
	"g-fallback.whatsapp.net:80":  {Kind: wire.Chat},
	"g.whatsapp.net:443":          {Kind: wire.Chat},
	"web.whatsapp.com:443":        {Kind: wire.Web, Host: "web.whatsapp.com"},
	"Web.WhatsApp.com.:443":       {Kind: wire.Web, Host: "web.whatsapp.com"},
	"wa.me:443":                   {Kind: wire.Web, Host: "wa.me"},
	"mmg.whatsapp.net:443":        {Kind: wire.Media, Host: "mmg.whatsapp.net"},
	"media-fra3.whatsapp.net:443": {Kind: wire.Media, Host: "media-fra3.whatsapp.net"},
}

func TestAConnectForWhatsAppIsCarried(t *testing.T) {
	t.Parallel()
	address, arrived := web(t)
	for host, want := range services {
		app := connectTo(t, address)
		fmt.Fprintf(app, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\nUser-Agent: x\r\n\r\n", host)
		answer, err := http.ReadResponse(bufio.NewReader(app), &http.Request{Method: http.MethodConnect})
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: got %v, %v, want a way through", host, answer, err)
		}
		io.WriteString(app, "\x16\x03\x01hello")
		if got := <-arrived; got.service != want || string(got.first) != "\x16\x03\x01hello" {
			t.Errorf("%s: got %v and %q, want %v and what was said", host, got.service, got.first, want)
		}
	}
}

// What a program says without waiting to be let in is not lost.
func TestWhatComesBehindAConnectIsCarried(t *testing.T) {
	t.Parallel()
	address, arrived := web(t)
	app := connectTo(t, address)
	head := "CONNECT web.whatsapp.com:443 HTTP/1.1\r\nHost: web.whatsapp.com:443\r\n\r\n"
	for _, c := range head[:len(head)-1] {
		app.Write([]byte(string(c)))
	}
	io.WriteString(app, "\nhello")
	if got := <-arrived; string(got.first) != "hello" {
		t.Errorf("got %q, want what came behind the request", got.first)
	}
}

func TestSOCKSForWhatsAppIsCarried(t *testing.T) {
	t.Parallel()
	address, arrived := web(t)
	d, err := proxy.SOCKS5("tcp", address, nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range services {
		app, err := d.Dial("tcp", host)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		io.WriteString(app, "hello")
		if got := <-arrived; got.service != want || string(got.first) != "hello" {
			t.Errorf("%s: got %v and %q, want %v", host, got.service, got.first, want)
		}
		app.Close()
	}
}

func TestNothingButWhatsAppIsCarried(t *testing.T) {
	t.Parallel()
	address, arrived := web(t)
	d, err := proxy.SOCKS5("tcp", address, nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"example.com:443", "web.whatsapp.com:80", "web.whatsapp.com:5222", "g.whatsapp.net:8080", "mmg.whatsapp.net:80", "web.whatsapp.com.example.com:443",
		"notwhatsapp.com:443", "127.0.0.1:443", "[::1]:443", "192.0.2.1:443", "localhost:443"} {
		if _, err := d.Dial("tcp", to); err == nil {
			t.Errorf("SOCKS5, %s: got in, want a refusal", to)
		}
		app := connectTo(t, address)
		fmt.Fprintf(app, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", to)
		wantRefusal(t, to, bufio.NewReader(app))
	}
	for _, request := range []string{"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", "GET http://web.whatsapp.com/ HTTP/1.1\r\nHost: web.whatsapp.com\r\n\r\n"} {
		app := connectTo(t, address)
		io.WriteString(app, request)
		wantRefusal(t, request, bufio.NewReader(app))
	}
	select {
	case got := <-arrived:
		t.Errorf("got %v carried, want nothing", got.service)
	default:
	}
}

func wantRefusal(t *testing.T, what string, from *bufio.Reader) {
	t.Helper()
	answer, err := http.ReadResponse(from, nil)
	if err != nil || answer.StatusCode != http.StatusForbidden {
		t.Errorf("%s: got %v, %v, want a refusal", what, answer, err)
		return
	}
	if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), "WhatsApp's names alone") {
		t.Errorf("%s: got %q, %v, want a reason", what, text, err)
	}
}

func TestOtherWaysOfSOCKSAreRefused(t *testing.T) {
	t.Parallel()
	address, _ := web(t)
	for name, c := range map[string]struct{ sent, want string }{
		"a password alone":    {"\x05\x01\x02", "\x05\xff"},
		"binding":             {"\x05\x01\x00\x05\x02\x00\x03\x05wa.me\x01\xbb", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"datagrams":           {"\x05\x01\x00\x05\x03\x00\x03\x05wa.me\x01\xbb", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"an unknown address":  {"\x05\x01\x00\x05\x01\x00\x07\x05wa.me\x01\xbb", "\x05\x00"},
		"version 4":           {"\x04\x01\x01\xbb\x00\x00\x00\x01\x00wa.me\x00", ""},
		"a request of none":   {"\x05\x00", "\x05\xff"},
		"a name of no length": {"\x05\x01\x00\x05\x01\x00\x03\x00\x01\xbb", "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00"},
	} {
		app := connectTo(t, address)
		io.WriteString(app, c.sent)
		app.CloseWrite()
		if got, err := io.ReadAll(app); string(got) != c.want && err == nil {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTheScriptIsForWhoKnowsItsPath(t *testing.T) {
	t.Parallel()
	address, _ := web(t)
	_, port, _ := strings.Cut(address, ":")
	for request, want := range map[string]string{
		"GET /8d1f/proxy.pac HTTP/1.1\r\nHost: " + address:                              "PROXY 127.0.0.1:" + port + "; SOCKS5 127.0.0.1:" + port,
		"GET /8d1f/proxy.pac HTTP/1.1\r\nHost: localhost:1\";x":                         "PROXY localhost:" + port,
		"GET /proxy.pac HTTP/1.1\r\nHost: " + address + goes:                            "",
		"GET / HTTP/1.1\r\nHost: " + address + goes:                                     "",
		"GET /8d1f/proxy.pac HTTP/1.1\r\nHost: rebound.example:" + port:                 "",
		"GET /8d1f/proxy.pac HTTP/1.1\r\nHost: " + address + "\r\nOrigin: https://a.ex": "",
		"POST /8d1f/proxy.pac HTTP/1.1\r\nHost: " + address:                             "",
		"GET /" + strings.Repeat("x", maxRequest) + " HTTP/1.1":                         "",
	} {
		app := connectTo(t, address)
		io.WriteString(app, strings.TrimSuffix(request, "\r\n")+"\r\n\r\n")
		got, _ := io.ReadAll(app)
		if want == "" && len(got) > 0 || !strings.Contains(string(got), want) {
			t.Errorf("%.60q: got %q, want %q in it, or nothing", request, got, want)
		}
	}
}

// A listener for browsers carries no app, and one for the app no browser.
func TestListenersKeepToTheirKind(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		l    *Listener
		sent string
	}{
		{&Listener{Web: true}, "WA\x06\x03 and more\r\n\r\n"},
		{&Listener{}, "\x05\x01\x00"},
		{&Listener{}, "CONNECT web.whatsapp.com:443 HTTP/1.1\r\nHost: web.whatsapp.com:443\r\n\r\n"},
	} {
		address, _ := loopback(t, c.l)
		app := connectTo(t, address)
		io.WriteString(app, c.sent)
		if got, _ := io.ReadAll(app); len(got) > 0 {
			t.Errorf("%q: got %q, want no answer", c.sent, got)
		}
	}
}
