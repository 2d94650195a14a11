package origin_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/site"
	"culvert/internal/wire"
	"culvert/origin"
)

func (a *apiGateway) front() link.Front {
	return link.Front{Host: a.Listener.Addr().String(), Path: "/v1", Gateway: true, Pins: []link.Pin{link.PinOf(a.Certificate())}}
}

// gatewayNode is an origin behind an API Gateway.
func (n network) gatewayNode(t *testing.T, change ...func(*origin.Config)) (*node, *apiGateway) {
	a := newAPIGateway(t, n.gates)
	with := func(c *origin.Config) { c.Gateway = a.gateway() }
	x := n.node(t, append([]func(*origin.Config){with}, change...)...)
	a.to.Store(&x.server.URL)
	return x, a
}

func TestStreamsCrossTheGatewayDoor(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t)
	c := startClient(t, n.master.Client(1), a.front())
	carry(t, c, &x.run, "first")
	carry(t, c, &x.run, strings.Repeat("more", 4000))
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.refused) > 0 || len(a.conns) != 1 {
		t.Errorf("got refusals %v on %d connections, want none on 1", a.refused, len(a.conns))
	}
}

// handing hands messages to an origin as a function does.
type handing struct {
	t      *testing.T
	signer *wire.Signer
	to     string
}

func (n network) handing(t *testing.T, x *node) handing {
	return handing{t, wire.NewSigner(n.gates), x.server.URL}
}

func (h handing) text(conn string, text []byte) int { return h.event(wire.Message, conn, text) }

func (h handing) event(e wire.Event, conn string, text []byte) int {
	h.t.Helper()
	status, err := post(http.DefaultClient, h.to, h.signer.Sign(wire.Handed{Event: e, Conn: conn, Text: text}, time.Now()))
	if err != nil {
		h.t.Fatal(err)
	}
	return status
}

// message is one that no carrier takes: it is of a connection that is not there.
func message(ticket string) []byte {
	return wire.AppendText(wire.AppendUp(nil, "", ticket), make([]byte, 8))
}

// prove says hello as user by the connection id of a's, and proves it. It returns the
// answer to the hello.
func (n network) prove(t *testing.T, h handing, a *apiGateway, id string, user uint32) (int, *origin.RawClient) {
	t.Helper()
	c := origin.NewRawClient(t, n.master.Client(user))
	status := h.text(id, c.Hello(""))
	if status == http.StatusNoContent {
		c.Hear(<-a.posted(id))
		if got := h.text(id, c.Message("", 1)); got != http.StatusNoContent {
			t.Errorf("%s: got %d for the proof, want 204", id, got)
		}
	}
	return status, c
}

func (x *node) tickets(n network, user uint32) string { return ticketTo(n, x.at, user) }

func TestWhatTheGatewayDoorAnswers(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t, func(c *origin.Config) { c.Revoked = func(user uint32) bool { return user == 9 } })
	h := n.handing(t, x)
	raw := func(user uint32) *origin.RawClient { return origin.NewRawClient(t, n.master.Client(user)) }
	ticket, one, again := x.tickets(n, 1), raw(1), raw(1)
	hello, second := one.Hello(""), again.Hello(ticket)
	stranger := origin.NewRawClient(t, seal.NewMaster().Client(1))
	want := func(name string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	want("a message before its hello", h.text("a=", message(ticket)), 410)
	want("a hello", h.text("a=", hello), 204)
	want("the hello again", h.text("a=", hello), 204)
	want("the hello by another connection", h.text("e=", hello), 410)
	one.Hear(<-a.posted("a="))
	first := one.Message(ticket, 1)
	want("a message", h.text("a=", first), 204)
	want("the message again", h.text("a=", first), 204)
	late := one.Message(ticket, 2)
	want("a message that overtook another", h.text("a=", one.Message(ticket, 7)), 204)
	want("the other one", h.text("a=", late), 204)
	want("a message without a ticket", h.text("a=", one.Message("", 8)), 204)
	want("another user's hello", h.text("a=", raw(2).Hello("")), 410)
	want("another hello of the user's", h.text("a=", raw(1).Hello("")), 410)
	want("a stranger's hello", h.text("b=", stranger.Hello("")), 410)
	want("a revoked user's hello", h.text("b=", raw(9).Hello("")), 410)
	want("garbage", h.text("b=", []byte("{}")), 410)
	want("nothing", h.text("b=", nil), 410)
	want("a body that is none", h.text("a=", wire.AppendUp(nil, "", ticket+"!")), 410)
	want("a message after that", h.text("a=", one.Message(ticket, 9)), 410)
	want("the hello after that", h.text("a=", hello), 410)
	want("a second connection", h.text("c=", second), 204)
	want("its end", h.event(wire.Disconnect, "c=", nil), 204)
	want("a message that came late", h.text("c=", message(ticket)), 410)
	want("an end that came late", h.event(wire.Disconnect, "c=", nil), 204)
	want("an end of nothing", h.event(wire.Disconnect, "d=", nil), 204)
}

// A link that is void, or a gate's key without a link, lets in nobody.
func TestTheGatesKeyOpensNoCarrier(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, _ := n.gatewayNode(t)
	keys := n.master.Client(1)
	forged := wire.NewToken(1, keys.Token, [32]byte{}, time.Now())
	text := wire.AppendText(wire.AppendUp(nil, forged.Text(), ""), make([]byte, 8))
	if got := n.handing(t, x).text("a=", text); got != http.StatusGone {
		t.Errorf("got %d for a hello, want 410", got)
	}
	x.wantCount(t, "culvert_tokens_refused_total", "not_proved", 1)
	wantGauge(t, x, "culvert_carriers_unproven", 0)
}

func TestTheGatewayDoorTakesAsManyAsItMay(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t, func(c *origin.Config) { c.MaxCarriers = 16 })
	h := n.handing(t, x)
	for i := range 20 {
		if got, _ := n.prove(t, h, a, string(rune('A'+i)), uint32(1+i/16)); got != 204 {
			t.Errorf("hello %d: got %d, want 204", i, got)
		}
	}
	wantSoon(t, "as many carriers as there may be", func() bool { return strings.Contains(x.metrics(), "\nculvert_carriers 16\n") })
}

// Whoever copies tokens takes no room from their users: what proves nothing counts apart.
func TestCarriersThatProveNothingTakeNoShare(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t, func(c *origin.Config) { c.MaxCarriers = 1 })
	h := n.handing(t, x)
	for i := range 20 {
		if got := h.text(string(rune('A'+i)), origin.NewRawClient(t, n.master.Client(1)).Hello("")); got != 204 {
			t.Errorf("hello %d: got %d, want 204", i, got)
		}
	}
	wantGauge(t, x, "culvert_carriers_unproven", 20)
	if got, _ := n.prove(t, h, a, "a", 1); got != 204 {
		t.Errorf("the user: got %d, want 204", got)
	}
	wantGauge(t, x, "culvert_carriers_unproven", 20)
	wantGauge(t, x, "culvert_carriers", 21)
}

// A draining origin takes back the connections of sessions that it has, and nobody new.
func TestADrainingOriginTakesItsOwnClientsOnly(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t)
	stream := open(t, startClient(t, n.master.Client(1), a.front()), &x.run)
	defer stream.Close()
	h := n.handing(t, x)
	status, own := n.prove(t, h, a, "a", 1)
	if status != http.StatusNoContent {
		t.Fatalf("before it drains: got %d, want 204", status)
	}
	go x.Drain(t.Context())
	wantSoon(t, "a drain", func() bool { return origin.Draining(x.Origin) })
	raw := func(user uint32) *origin.RawClient { return origin.NewRawClient(t, n.master.Client(user)) }
	for _, c := range []struct {
		name, conn string
		text       []byte
		want       int
	}{
		{"somebody new", "b", raw(2).Hello(""), 503},
		{"another's ticket", "c", raw(2).Hello(x.tickets(n, 1)), 503},
		{"another session of the user's", "d", raw(1).Hello(x.tickets(n, 1)), 410},
		{"one of its own", "e", own.Next().Hello(x.tickets(n, 1)), 204},
	} {
		if got := h.text(c.conn, c.text); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// What no function of ours has signed is answered as without a gateway door,
// byte for byte, whether its body is read or not.
func TestStrangersPostsSeeTheSite(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	withSite := func(c *origin.Config) { c.Site = site.Handler() }
	x, _ := n.gatewayNode(t, withSite)
	plain := n.node(t, withSite)
	other := newNetwork()
	now := time.Now()
	hello := wire.Handed{Event: wire.Message, Conn: "a=", Text: origin.NewRawClient(t, n.master.Client(1)).Hello("")}
	old := wire.NewSigner(n.gates).Sign(hello, now.Add(-wire.HandedLife-time.Minute))
	signed := wire.NewSigner(n.gates).Sign(hello, now)
	broken := bytes.Clone(signed)
	broken[len(broken)-1] ^= 1
	for name, body := range map[string][]byte{
		"nothing":       nil,
		"a form":        []byte("a=b"),
		"another's":     wire.NewSigner(other.gates).Sign(hello, now),
		"an old one":    old,
		"a broken one":  broken,
		"half":          signed[:len(signed)/2],
		"as large":      make([]byte, wire.MaxHanded),
		"too large":     make([]byte, wire.MaxHanded+1),
		"much too much": make([]byte, 400<<10),
	} {
		got, want := rawPost(t, x, "/", "", body), rawPost(t, plain, "/", "", body)
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for name, c := range map[string]struct{ path, header string }{
		"another path":     {"/x", ""},
		"an expectation":   {"/", "Expect: 100-continue\r\n"},
		"in chunks":        {"/", "Transfer-Encoding: chunked\r\n"},
		"a strange expect": {"/", "Expect: nothing\r\n"},
	} {
		got, want := rawPost(t, x, c.path, c.header, signed), rawPost(t, plain, c.path, c.header, signed)
		if got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// API Gateway is told to close what the origin has ended, and the origin keeps
// nothing of a connection that is gone.
func TestConnectionsEndAtBothEnds(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t)
	c := startClient(t, n.master.Client(1), a.front())
	carry(t, c, &x.run, "hello")
	h := n.handing(t, x)
	h.text("L0SM9cOF0000=", []byte("m"+strings.Repeat("-", wire.TicketLen)+"what is no message"))
	select {
	case <-a.deleted:
	case <-time.After(10 * time.Second):
		t.Error("the connection was not closed")
	}
	wantGauge(t, x, "culvert_gateway_connections", 1) // the client is back by another
	if got := h.text("gone", origin.NewRawClient(t, n.master.Client(2)).Hello("")); got != 204 {
		t.Errorf("got %d, want 204", got)
	}
	wantGauge(t, x, "culvert_gateway_connections", 1) // 410 for its first post, for a second
	if n := x.count(t, "culvert_posts_total", "gone"); n == 0 {
		t.Error("got no post to what is gone")
	}
}

// A client whose origin stops hears of it: it would wait for messages otherwise.
func TestAnOriginThatStopsClosesItsConnections(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	x, a := n.gatewayNode(t)
	for user := range uint32(3) {
		carry(t, startClient(t, n.master.Client(user), a.front()), &x.run, "hello")
	}
	x.Close()
	if got := len(a.deleted); got != 3 {
		t.Errorf("got %d closed, want 3", got)
	}
	if got := n.handing(t, x).text("new", origin.NewRawClient(t, n.master.Client(1)).Hello("")); got != 503 {
		t.Errorf("got %d for a hello after that, want 503", got)
	}
}

// returning is the way to an API Gateway whose client comes back as soon as its
// connection is closed, while a post of another is still under way.
type returning struct {
	http.RoundTripper
	comeBack func()
	began    atomic.Bool // posts wait from now on, until the client has come back
	waiting  atomic.Int32
	back     chan struct{}
	once     sync.Once // for the first that is closed
}

func (r *returning) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.Method == http.MethodDelete:
		r.once.Do(func() { r.comeBack(); close(r.back) })
	case r.began.Load():
		r.waiting.Add(1)
		select {
		case <-r.back:
		case <-time.After(10 * time.Second): // the origin has closed no connection
		}
		return nil, net.ErrClosed
	}
	return r.RoundTripper.RoundTrip(req)
}

// A client whose connection is closed says hello by another at once, which an origin
// that is still busy with its own end must not take: the client would be closed again.
func TestAnOriginThatStopsRefusesWhoComesBack(t *testing.T) {
	t.Parallel()
	n := newNetwork()
	way, answers := &returning{back: make(chan struct{})}, make(chan int, 1)
	x, a := n.gatewayNode(t, func(c *origin.Config) {
		way.RoundTripper = c.Gateway.Client.Transport
		c.Gateway.Client = &http.Client{Transport: way}
	})
	hello := wire.Handed{Event: wire.Message, Conn: "new", Text: origin.NewRawClient(t, n.master.Client(1)).Hello("")}
	way.comeBack = func() {
		status, _ := post(http.DefaultClient, x.server.URL, wire.NewSigner(n.gates).Sign(hello, time.Now()))
		answers <- status // 0 after an error
	}
	carry(t, startClient(t, n.master.Client(1), a.front()), &x.run, "hello")
	stream := open(t, startClient(t, n.master.Client(2), a.front()), &x.run)
	way.began.Store(true)
	go io.WriteString(stream, "x")
	wantSoon(t, "a post waits", func() bool { return way.waiting.Load() > 0 })
	x.Close()
	select {
	case got := <-answers:
		if got != 503 {
			t.Errorf("got %d, want 503", got)
		}
	default:
		t.Error("no connection was closed")
	}
}

func wantGauge(t *testing.T, x *node, name string, want float64) {
	t.Helper()
	wantSoon(t, fmt.Sprintf("%s is %v", name, want), func() bool {
		families, err := x.counters.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == name {
				return f.GetMetric()[0].GetGauge().GetValue() == want
			}
		}
		return false
	})
}
