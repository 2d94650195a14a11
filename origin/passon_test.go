package origin_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/wire"
	"culvert/origin"
	"culvert/test/nobody"
)

// upgrade asks x for a WebSocket by a token and says which origin the answer
// leads back to; an invalid address if it is no WebSocket.
func upgrade(t *testing.T, n network, x *node, token, ticket, header string) netip.AddrPort {
	t.Helper()
	c, err := net.Dial("tcp", x.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: %s=%s; %s=%s\r\n%s\r\n",
		wire.TokenCookie, token, wire.TicketCookie, ticket, header)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range res.Cookies() {
		if cookie.Name == wire.TicketCookie && res.StatusCode == http.StatusSwitchingProtocols {
			owner, _ := wire.NewTickets(n.gates).Open(cookie.Value, time.Now())
			return owner.At
		}
	}
	return netip.AddrPort{}
}

// token is a new one of user's.
func (n network) token(t *testing.T, user uint32) string {
	t.Helper()
	return origin.NewRawClient(t, n.master.Client(user)).Token()
}

func ticketTo(n network, at netip.AddrPort, user uint32) string {
	return wire.NewTickets(n.gates).New(0, wire.Owner{At: at, User: user}, time.Now())
}

func TestACarrierIsServedWhereItsTicketLeads(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	a, b := n.node(t), n.node(t)
	old := wire.NewTickets(n.gates).New(0, wire.Owner{At: b.at, User: 1}, time.Now().Add(-wire.TicketLife-time.Hour))
	for name, c := range map[string]struct {
		ticket, header string
		want           netip.AddrPort
	}{
		"none":             {"", "", a.at},
		"here":             {a.tickets(n, 1), "", a.at},
		"elsewhere":        {b.tickets(n, 1), "", b.at},
		"passed on before": {b.tickets(n, 1), wire.PassedHeader + ": 1\r\n", a.at},
		"another user's":   {b.tickets(n, 2), "", a.at},
		"too old":          {old, "", a.at},
		"another gate's":   {b.tickets(newNetwork(), 1), "", a.at},
		"garbage":          {strings.Repeat("x", wire.TicketLen), "", a.at},
		"nobody there":     {ticketTo(n, nobody.Addr(t), 1), "", a.at},
		"a public address": {ticketTo(n, netip.MustParseAddrPort("192.0.2.1:8080"), 1), "", a.at},
		"metadata":         {ticketTo(n, netip.MustParseAddrPort("169.254.169.254:80"), 1), "", a.at},
	} {
		if got := upgrade(t, n, a, n.token(t, 1), c.ticket, c.header); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Of a request and its copies one becomes a carrier, wherever they lead: each of two
// origins takes the token, the one that passes the request on and the one that serves it.
func TestACopyOfARequestIsServedByNoOrigin(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	a, b := n.node(t), n.node(t)
	for name, c := range map[string]struct {
		ticket string
		want   netip.AddrPort
	}{"here": {"", a.at}, "elsewhere": {b.tickets(n, 1), b.at}, "nobody there": {ticketTo(n, nobody.Addr(t), 1), a.at}} {
		token := n.token(t, 1)
		if got := upgrade(t, n, a, token, c.ticket, ""); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
		for _, ticket := range []string{"", c.ticket} {
			if got := upgrade(t, n, a, token, ticket, ""); got.IsValid() {
				t.Errorf("%s, once more: got a carrier to %v, want none", name, got)
			}
		}
	}
	a.wantCount(t, "culvert_tokens_refused_total", "taken_before", 6)
	b.wantCount(t, "culvert_tokens_refused_total", "taken_before", 0)
}

func TestAnOriginThatIsNotReachedGivesNoTickets(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	a := n.node(t, func(c *origin.Config) { c.Advertise = netip.AddrPort{} })
	if got := upgrade(t, n, a, n.token(t, 1), "", ""); got.IsValid() {
		t.Errorf("got a ticket to %v, want none", got)
	}
}

// front is what lies before several origins: each connection goes to the one
// that is next.
type front struct {
	net.Listener
	cert *x509.Certificate
	next atomic.Pointer[node]
	mu   sync.Mutex // guards the following
	live []net.Conn
}

func newFront(t *testing.T, first *node) *front {
	example := httptest.NewTLSServer(nil) // for its certificate
	example.Close()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: example.TLS.Certificates, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: ln, cert: example.Certificate()}
	f.next.Store(first)
	t.Cleanup(func() { ln.Close(); f.cut() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go f.join(c)
		}
	}()
	return f
}

func (f *front) join(c net.Conn) {
	to, err := net.Dial("tcp", f.next.Load().at.String())
	if err != nil {
		c.Close()
		return
	}
	f.mu.Lock()
	f.live = append(f.live, c, to)
	f.mu.Unlock()
	go func() { io.Copy(to, c); to.Close() }()
	io.Copy(c, to)
	c.Close()
}

// cut ends every connection.
func (f *front) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.live {
		c.Close()
	}
	f.live = nil
}

func (f *front) link() link.Front {
	return link.Front{Host: f.Addr().String(), Path: "/", Pins: []link.Pin{link.PinOf(f.cert)}}
}

// A stream goes on at its origin while all its carriers come by another one.
func TestAStreamGoesOnByAnotherOrigin(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	a, b := n.node(t), n.node(t)
	f := newFront(t, b)
	c := startClient(t, n.master.Client(1), f.link())
	app, stream := net.Pipe()
	defer app.Close()
	c.Carry(stream, wire.Service{Kind: wire.Chat}, []byte("0"))
	far := <-b.streams
	defer far.Close()
	wantRead(t, far, "0")
	go io.WriteString(far, "1")
	wantRead(t, app, "1")
	f.next.Store(a)
	for round := range 5 {
		f.cut()
		up, down := fmt.Sprintf("up %d", round), fmt.Sprintf("down %d", round)
		app.SetDeadline(time.Now().Add(20 * time.Second))
		far.SetDeadline(time.Now().Add(20 * time.Second))
		go io.WriteString(app, up)
		wantRead(t, far, up)
		go io.WriteString(far, down)
		wantRead(t, app, down)
	}
	t.Log(a.metrics())
	if got := a.count(t, "culvert_passed_total", "carrier"); got < 5 {
		t.Errorf("got %v carriers passed on, want 5 or more", got)
	}
}

// A message that came to the wrong origin goes to the one its ticket names,
// and no further.
func TestAMessageIsPassedOnOnce(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	a, apiA := n.gatewayNode(t)
	b, apiB := n.gatewayNode(t)
	toA, toB := n.handing(t, a), n.handing(t, b)
	raw := func() *origin.RawClient { return origin.NewRawClient(t, n.master.Client(1)) }
	gone, there, here := ticketTo(n, nobody.Addr(t), 1), b.tickets(n, 1), a.tickets(n, 1)
	want := func(name string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	x, y, z, v := raw(), raw(), raw(), raw()
	want("a hello there", toB.text("x=", x.Hello("")), 204)
	x.Hear(<-apiB.posted("x="))
	want("a message", toA.text("x=", x.Message(there, 1)), 204)
	hello := y.Hello(there)
	want("a hello by ticket", toA.text("y=", hello), 204)
	want("the hello again", toA.text("y=", hello), 204)
	want("the hello by another connection", toA.text("u=", hello), 410)
	y.Hear(<-apiB.posted("y="))
	want("what follows it there", toB.text("y=", y.Message(there, 1)), 204)
	want("what follows it here without a ticket", toA.text("y=", y.Message("", 2)), 410)
	want("a hello to nobody", toA.text("z=", z.Hello(gone)), 204)
	z.Hear(<-apiA.posted("z="))
	want("what follows it", toA.text("z=", z.Message(here, 1)), 204)
	want("a message to nobody", toA.text("w=", message(gone)), 410)
	want("a message nobody knows", toA.text("w=", message(there)), 410)
	want("another's ticket", toA.text("v=", v.Hello(b.tickets(n, 2))), 204)
	v.Hear(<-apiA.posted("v="))
	want("what follows that", toA.text("v=", v.Message(here, 1)), 204)
}

// The table's addresses are dialled by nobody: that is for the network.
func TestWhatATicketMayLeadTo(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x := n.node(t, func(c *origin.Config) { c.Advertise = netip.MustParseAddrPort("10.0.1.7:8080") })
	for at, want := range map[string]bool{
		"10.0.1.7:8090": true, "10.0.2.9:8080": true, "192.168.1.1:1024": true, "[fd00::1]:8080": true,
		"10.0.2.9:80": false, "10.0.2.9:22": false, "127.0.0.1:8080": false, "[::1]:8080": false, "0.0.0.0:8080": false,
		"169.254.169.254:8080": false, "[fe80::1]:8080": false, "[fd00:ec2::254]:8080": false, "203.0.113.1:8080": false,
		"[2001:db8::1]:8080": false, "224.0.0.1:8080": false,
	} {
		if got := origin.MayReach(x.Origin, netip.MustParseAddrPort(at)); got != want {
			t.Errorf("%s: got %v, want %v", at, got, want)
		}
	}
}
