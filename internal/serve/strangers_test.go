package serve

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// few is room for n strangers.
func few(n int) *Strangers { return NewStrangers(Limits{Strangers: n}, nil) }

// from is a connection that comes from an address.
type from struct {
	net.Conn
	at string
}

func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(f.at)) }

// visit is a connection to a server that comes from an address.
func visit(ln pipes, at string) net.Conn {
	near, far := net.Pipe()
	ln <- from{far, at}
	return near
}

// isCut reports whether the server has closed a connection that waits.
func isCut(c net.Conn) bool {
	ended := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	synctest.Wait()
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

func TestANewStrangerTakesThePlaceOfTheOldest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := make(pipes)
		srv := newServer(http.HandlerFunc(hello), few(8), quiet)
		go srv.Serve(ln)
		defer srv.Close()
		alone := visit(ln, "198.51.100.7:1")
		synctest.Wait()
		var crowd []net.Conn
		for range 20 {
			crowd = append(crowd, visit(ln, "192.0.2.1:1"))
			synctest.Wait()
		}
		if isCut(alone) || !isCut(crowd[0]) {
			t.Error("got another network's closed, or none of the crowd's, want the oldest of whoever has most")
		}
		last := visit(ln, "192.0.2.1:1")
		go io.WriteString(last, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(last), nil); err != nil {
			t.Errorf("got %v, want a newcomer of the crowd's address served", err)
		}
	})
}

func TestWhatBecameAWebSocketIsNoStrangersAnyMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln, strangers := make(pipes), few(8)
		var kept sync.Map
		srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				kept.Store(c, true)
			}
		}), strangers, quiet)
		go srv.Serve(ln)
		defer srv.Close()
		for range 20 {
			go io.WriteString(visit(ln, "192.0.2.1:1"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			synctest.Wait()
		}
		if n := strangers.pool.Len(); n != 0 || strangers.pool.Displaced() != 0 || len(strangers.at) != 0 {
			t.Errorf("got %d strangers and %d displaced, want none", n, strangers.pool.Displaced())
		}
		kept.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	})
}

// Behind a proxy whose word is believed each request counts for the visitor, and what waits
// there for nothing counts for nobody.
func TestRequestsByAProxyCountForTheVisitor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ln := make(pipes)
		strangers := NewStrangers(Limits{Strangers: 8, Proxies: Proxies{netip.MustParsePrefix("10.0.0.0/8")}}, nil)
		srv := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }), strangers, quiet)
		go srv.Serve(ln)
		defer srv.Close()
		slow := func(visitor string) net.Conn {
			c := visit(ln, "10.0.0.1:1")
			go io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1, "+visitor+", 10.0.0.9\r\nContent-Length: 9\r\n\r\n")
			synctest.Wait()
			return c
		}
		alone := slow("198.51.100.7")
		first := slow("192.0.2.1")
		for range 20 {
			slow("192.0.2.1")
		}
		if isCut(alone) || !isCut(first) {
			t.Error("got another visitor's request cut, or none of whoever has most")
		}
		for range 20 {
			visit(ln, "10.0.0.1:1")
		}
		synctest.Wait()
		if isCut(alone) {
			t.Error("got a request cut for connections that wait, want those counted for nobody")
		}
	})
}

func TestProxiesSayWhoVisits(t *testing.T) {
	t.Parallel()
	var p Proxies
	if err := p.UnmarshalText([]byte("10.0.0.0/8, 192.0.2.9,2001:db8::/32")); err != nil {
		t.Fatal(err)
	}
	for said, want := range map[string]string{
		"198.51.100.7":                       "198.51.100.7",
		"198.51.100.7, 10.1.2.3":             "198.51.100.7",
		"1.2.3.4, 198.51.100.7, 2001:db8::1": "198.51.100.7",
		"nonsense, 192.0.2.9":                "192.0.2.9",
		"::ffff:198.51.100.7":                "198.51.100.7",
	} {
		if got := p.visitor(http.Header{"X-Forwarded-For": {said}}); got.String() != want {
			t.Errorf("%s: got %v, want %s", said, got, want)
		}
	}
	if got := p.visitor(http.Header{}); got.IsValid() {
		t.Errorf("got %v of nothing said, want none", got)
	}
	if new(Proxies).UnmarshalText([]byte("10.0.0.0/8,example.org")) == nil {
		t.Error("got a name taken for an address")
	}
}

// One address comes as often as it may, and others are served; where nobody has said what proxies there are, an
// address may be everybody's, and has no bound.
func TestAnAddressThatIsNoProxysHasARate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxies Proxies
		refused uint64
	}{"none": {Proxies{}, 500}, "not said": {nil, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				strangers, ln := NewStrangers(Limits{Strangers: 5000, Proxies: c.proxies}, nil), make(pipes)
				srv := newServer(http.HandlerFunc(hello), strangers, quiet)
				go srv.Serve(ln)
				defer srv.Close()
				var last net.Conn
				for range strangerBurst + 500 {
					last = visit(ln, "192.0.2.1:1")
				}
				if isCut(last) != (c.refused > 0) || strangers.refused.Load() != c.refused {
					t.Errorf("got %d refused, want %d", strangers.refused.Load(), c.refused)
				}
				if isCut(visit(ln, "192.0.2.2:1")) {
					t.Error("got another address refused")
				}
				time.Sleep(time.Second)
				if isCut(visit(ln, "192.0.2.1:1")) {
					t.Error("got the address refused a second later")
				}
			})
		})
	}
}

// Behind a proxy that is named each visitor has a rate, and the proxy none, nor has whoever it says nothing of.
func TestAVisitorBehindAProxyHasARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var proxies Proxies
		if err := proxies.UnmarshalText([]byte("10.0.0.0/8")); err != nil {
			t.Fatal(err)
		}
		handler := NewStrangers(Limits{Strangers: 5000, Proxies: proxies}, nil).count(http.HandlerFunc(hello))
		ask := func(visitor string) int {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("X-Forwarded-For", visitor)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r.WithContext(withConn(r.Context(), from{nil, "10.1.2.3:1"})))
			return w.Code
		}
		for range strangerBurst {
			ask("192.0.2.1")
			ask("")
		}
		for visitor, want := range map[string]int{"192.0.2.1": http.StatusTooManyRequests, "192.0.2.2": http.StatusOK, "": http.StatusOK} {
			if got := ask(visitor); got != want {
				t.Errorf("visitor %q: got %d, want %d", visitor, got, want)
			}
		}
	})
}

func TestNoneAreProxiesThatAreSaid(t *testing.T) {
	t.Parallel()
	var none Proxies
	if err := none.UnmarshalText([]byte("none")); err != nil || none == nil || len(none) > 0 {
		t.Errorf("got %v and %v, want none that are said", none, err)
	}
}
