package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"culvert/internal/link"
	"culvert/test/proxy"
)

const password = "s3cret-word"

func proxyAt(t *testing.T, url string) *Proxy {
	t.Helper()
	p, err := ParseProxy(url)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func noLookup(t *testing.T) func(context.Context, string, string) ([]netip.Addr, error) {
	return func(_ context.Context, _, host string) ([]netip.Addr, error) {
		t.Errorf("%s was looked up here, want it left to the proxy", host)
		return nil, &net.DNSError{IsNotFound: true}
	}
}

func TestAnHTTPProxyIsGivenTheFrontsName(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	_, cert := ca.issue(t, forNames("front.example"))
	behind := &proxy.Proxy{To: newEdge(t, cert).address}
	for name, server := range map[string]*httptest.Server{"http": httptest.NewServer(behind), "https": httptest.NewTLSServer(behind)} {
		t.Cleanup(server.Close)
		_, at, _ := strings.Cut(server.URL, "//")
		d := trusting(ca)
		d.lookup = noLookup(t)
		if name == "https" {
			d.Roots.AddCert(server.Certificate())
		}
		d.Proxy = proxyAt(t, name+"://user:"+password+"@"+at)
		if err := open(t, d, link.Front{Host: "front.example"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	const want = "front.example:443 Basic dXNlcjpzM2NyZXQtd29yZA=="
	if got := strings.Join(behind.Asked(), ", "); got != want+", "+want {
		t.Errorf("the proxy was asked for %s, want %s twice", got, want)
	}
}

// says is a proxy that reads once and says something, or nothing.
func says(answer string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			far.Read(make([]byte, 4<<10))
			if io.WriteString(far, answer); answer == "" {
				io.Copy(io.Discard, far)
			}
		}()
		return near, nil
	}
}

func TestAProxysFailureIsSaidWithoutItsPassword(t *testing.T) {
	t.Parallel()
	refuse := func(_ context.Context, _, address string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: fmt.Errorf("%s: %w", address, syscall.ECONNREFUSED)}
	}
	for _, c := range []struct {
		name, scheme string
		connect      func(context.Context, string, string) (net.Conn, error)
		want         string
		after        time.Duration
	}{
		{"nobody there", "http", refuse, "the proxy cannot be reached", 0},
		{"nobody there", "socks5", refuse, "the proxy cannot be reached", 0},
		{"hangs", "http", says(""), "the proxy does not answer in time", proxyTimeout},
		{"hangs", "https", says(""), "the proxy does not answer in time", proxyTimeout},
		{"hangs", "socks5", says(""), "the proxy does not answer in time", proxyTimeout},
		{"wants a password", "http", says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "another name or password", 0},
		{"wants another password", "http", says("HTTP/1.1 401 Unauthorized\r\n\r\n"), "another name or password", 0},
		{"wants a password", "socks5", says("\x05\xff"), "another name or password", 0},
		{"refuses", "http", says("HTTP/1.1 403 Forbidden\r\n\r\n"), "does not connect to the front (HTTP status 403)", 0},
		{"is no proxy", "http", says("SSH-2.0-" + password + "\r\n"), "no such proxy", 0},
		{"is no proxy", "socks5", says("SSH-2.0-" + password + "\r\n"), "no such proxy", 0},
		{"cuts", "http", says("HTTP/1.1 200 O"), "breaks the connection off", 0},
		{"cuts", "socks5", says("\x05"), "breaks the connection off", 0},
		{"says no end of headers", "http", says("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxProxyAnswer)), "breaks the connection off", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{Connect: c.connect, lookup: noLookup(t), Proxy: proxyAt(t, c.scheme+"://user:"+password+"@proxy.example")}
			start := time.Now()
			err := open(t, d, link.Front{Host: "front.example"})
			checkError(t, c.scheme+" "+c.name, err, c.want)
			if got := time.Since(start); got != c.after {
				t.Errorf("%s %s: took %v, want %v", c.scheme, c.name, got, c.after)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("%s %s: got %v, want no password", c.scheme, c.name, err)
			}
		})
	}
}

// A dial's own deadline counts for a proxy, too.
func TestAProxyThatHangsEndsWithTheDial(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"http", "https", "socks5"} {
		synctest.Test(t, func(t *testing.T) {
			d := &Dialer{Connect: says(""), Proxy: proxyAt(t, scheme+"://proxy.example")}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			start := time.Now()
			_, _, err := Open(ctx, d, link.Front{Host: "front.example"}, readGreeting)
			checkError(t, scheme, err, "the proxy does not answer in time")
			if got := time.Since(start); got != 2*time.Second {
				t.Errorf("%s: took %v, want 2 s", scheme, got)
			}
		})
	}
}

func TestTheEnvironmentChoosesTheProxy(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, to, want string
		env            map[string]string
	}{
		{"nothing", "front.example:443", "", nil},
		{"HTTPS_PROXY", "front.example:443", "http://a:80", map[string]string{"HTTPS_PROXY": "http://a"}},
		{"lower case, without a scheme", "front.example:443", "http://a:3128", map[string]string{"https_proxy": "a:3128"}},
		{"ALL_PROXY", "front.example:443", "socks5://b:1080", map[string]string{"ALL_PROXY": "socks5://b"}},
		{"both", "front.example:443", "https://a:443", map[string]string{"HTTPS_PROXY": "https://a", "ALL_PROXY": "socks5://b"}},
		{"NO_PROXY of a domain", "front.example:443", "", map[string]string{"ALL_PROXY": "socks5://b", "NO_PROXY": ".other,.example"}},
		{"NO_PROXY of others", "front.example:443", "socks5h://b:9050", map[string]string{"ALL_PROXY": "socks5h://b:9050", "no_proxy": "10.0.0.0/8"}},
		{"this machine", "127.0.0.1:443", "", map[string]string{"ALL_PROXY": "socks5://b"}},
	} {
		p, err := ProxyFrom(func(name string) string { return c.env[name] })
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		if u := p.to(c.to); u != nil {
			got = u.String()
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTheURLOfAProxyIsReadAndNeverQuoted(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "http://", "socks4://a", "ftp://a", "http://a/path", "http://a?b", "http://u:" + password + "@a:%zz", "http://u:" + password + "@[::1"} {
		_, err := ParseProxy(bad)
		if !errors.Is(err, ErrProxy) || strings.Contains(err.Error(), password) {
			t.Errorf("%q: got %v, want %v", bad, err, ErrProxy)
		}
		if bad == "" {
			continue
		}
		if _, err := ProxyFrom(func(string) string { return bad }); !errors.Is(err, ErrProxy) {
			t.Errorf("%q of the environment: got %v, want %v", bad, err, ErrProxy)
		}
	}
	if p, err := ParseProxy(NoProxy); err != nil || p.to("front.example:443") != nil {
		t.Errorf("got %v, want no proxy", err)
	}
	if p := proxyAt(t, "http://a"); p.to("127.0.0.1:443") == nil {
		t.Error("got no proxy, want one that is asked for used for all")
	}
}
