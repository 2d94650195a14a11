package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"culvert/client"
	"culvert/internal/handover"
	"culvert/internal/wire"
)

// refusals are what h's API says to all that was kept, by connections that enter lets in.
func (h *hostile) refusals(t *testing.T, when string, kept []*show, website bool) {
	t.Helper()
	for _, s := range kept {
		said, err := h.repeat(s, 0)
		if website != (err == errNoUpgrade) {
			t.Errorf("%s: got %v, want a website %v", when, err, website)
		}
		for _, msg := range said {
			if len(msg) == 0 || msg[0] != '{' {
				t.Errorf("%s: got %.1q… of %d bytes, want API Gateway's own words at most", when, msg, len(msg))
			}
		}
	}
}

// with is s by a connection that another token opens.
func (s *show) with(token wire.Token) *show {
	r := fmt.Sprintf("GET /v1 HTTP/1.1\r\nHost: api\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: %s=%s\r\n\r\n", wire.TokenCookie, token.Text())
	return &show{text: s.text, request: []byte(r), messages: s.messages}
}

// byFunction has an origin see what s says as a function of ours hands it on, by a
// connection of that id, and returns the answers' statuses.
func (w *world) byFunction(s *show, conn, origin string) (statuses []int) {
	w.Helper()
	signer := wire.NewSigner(wire.GateKeys{w.master.GateKey()})
	posts := handover.New(w.httpClient())
	for _, msg := range s.messages {
		h := wire.Handed{Event: wire.Message, Conn: conn, Text: msg}
		status, err := posts.Post(context.Background(), url.URL{Scheme: "http", Host: origin}, signer.Sign(h, time.Now()), false)
		must(w, err)
		statuses = append(statuses, status)
	}
	return statuses
}

// All that clients have said is seen once more: by connections that their tokens open and by
// the attacker's own, at once, when their tokens have expired, a day and a year later; and by
// functions, which need no token to let somebody in. The origin is the one that saw it, and
// after a year another.
func TestWhatAHostileGatewayHasKeptIsGoodForNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		a, _ := w.counting(&streams, 1, apiOptions{})
		h := w.hostileAt(true, 0, a.posts.addr)
		n := w.clientBy(1, w.textFront(h.addr()))
		for seed := range uint64(4) {
			must(t, n.order(order{Do: exchange, Seed: seed, Up: 30_000, Down: 30_000}))
			h.cut()
		}
		stays := n.chat()
		kept := h.allShows()
		if len(kept) < 4 {
			t.Fatalf("got %d carriers, want more", len(kept))
		}
		again := func(when string, origin string, website bool) {
			t.Helper()
			before := streams.Load()
			for i, s := range kept {
				for _, status := range w.byFunction(s, fmt.Sprintf("function%d", i), origin) {
					if status != http.StatusGone {
						t.Errorf("%s: got %d for a function, want %d", when, status, http.StatusGone)
					}
				}
			}
			h.refusals(t, when, kept, website)
			for _, s := range kept {
				h.refusals(t, when+", by a connection of another user's", []*show{s.with(w.newToken(9, time.Now()))}, false)
			}
			if got := streams.Load(); got != before {
				t.Errorf("%s: got %d streams at the service, want none", when, got-before)
			}
		}
		for _, c := range []struct {
			when    string
			after   time.Duration
			website bool
		}{{"at once", 0, false}, {"when tokens have expired", wire.TokenLife + time.Minute, true}, {"a day later", 24 * time.Hour, true}} {
			time.Sleep(c.after)
			if _, err := stays.ping(time.Minute); err != nil {
				t.Errorf("%s, whose all this was: %v", c.when, err)
			}
			again(c.when, a.addr, c.website)
		}
		must(t, stays.finish())
		n.stop()
		a.crash()
		time.Sleep(365 * 24 * time.Hour)
		a.far = a.origin(w, apiOptions{origin: w.counted(&streams)})
		a.inside.target.Store(a.addr)
		again("a year later, by a new origin", a.addr, true)
	})
}

// A front whose date is nearly a day ahead gets hellos that are good a day later. Each is
// good for one stream at most, to which nothing but the app's first bytes of then goes, and
// which is over soon; nobody can read what the origin says, and a hello is taken once.
func TestAHelloThatIsHeldBackForADayIsOneDial(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		a, _ := w.counting(&streams, 1, apiOptions{})
		h := w.hostileAt(true, 0, a.posts.addr)
		h.holds.Store(true)
		var lied atomic.Bool
		h.enter = func(*http.Request) string {
			if lied.Swap(true) {
				return ""
			}
			return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nDate: " + time.Now().Add(client.FrontOffset-time.Minute).UTC().Format(http.TimeFormat) + "\r\n\r\n"
		}
		n := w.clientBy(1, w.textFront(h.addr()))
		app := n.app()
		app.Write(order{Do: quiet}.bytes())
		time.Sleep(time.Minute)
		n.stop()
		kept := slices.DeleteFunc(h.allShows(), func(s *show) bool { return len(s.messages) == 0 })
		if len(kept) < 2 {
			t.Fatalf("got %d hellos, want more", len(kept))
		}
		kept = kept[:min(len(kept), 4)] // each takes a while, and they expire
		h.refusals(t, "too early", kept, true)
		time.Sleep(client.FrontOffset - 2*time.Minute)
		for _, s := range kept {
			if _, err := h.repeat(s, 0); err != nil {
				t.Errorf("a day later: %v", err)
			}
		}
		began := streams.Load()
		t.Logf("%d hellos, %d streams", len(kept), began)
		if began > int64(len(kept)) || began == 0 {
			t.Errorf("a day later: got %d streams, want some, %d at most", began, len(kept))
		}
		h.refusals(t, "once more", kept[:1], false)
		time.Sleep(wire.HoldTunnel + time.Minute)
		if got := w.up.live(); got != 0 {
			t.Errorf("got %d streams later, want none", got)
		}
		h.refusals(t, "later", kept, true)
		if got := streams.Load(); got != began {
			t.Errorf("once more: got %d streams, want none", got-began)
		}
	})
}

// A client's messages go by connections that another user's tokens have opened, and the
// origin's back: an edge may carry them how it likes, and its user has no part in them.
func TestASessionByAnotherUsersConnectionsIsItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		a := w.api(apiOptions{origin: w.counted(&streams)})
		h := w.hostileAt(true, 0, a.posts.addr)
		h.enter = func(r *http.Request) string {
			token := w.newToken(9, time.Now())
			r.Header.Set("Cookie", wire.TokenCookie+"="+token.Text())
			return ""
		}
		tunnels := exchanges(t, 5, 0, w.clientBy(1, w.textFront(h.addr())), w.clientBy(2, w.textFront(h.addr())))
		if got := streams.Load(); got != tunnels {
			t.Errorf("got %d streams at the service, want %d", got, tunnels)
		}
	})
}

// An edge has a client believe that its tickets are those of another origin. When the client
// goes by another front, its tunnels go on: there is harm by the hostile one alone.
func TestAForgedTicketLeadsNobodyAstrayByAnotherFront(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var streams atomic.Int64
		a, all := w.counting(&streams, 2, apiOptions{})
		tickets := wire.NewTickets(wire.GateKeys{w.master.GateKey()})
		forged := tickets.New(0, wire.Owner{At: netip.MustParseAddrPort(all[1].addr), User: 1}, time.Now())
		a.inside.target.Store(all[0].addr)
		h := w.hostileAt(true, 0, a.posts.addr)
		var right string
		h.change = func(d *direction, msg []byte) []parcelOf {
			m, ok := parseText(d.way, msg)
			switch {
			case !ok || m.ticket == "":
			case d.way == 1:
				right, m.ticket = m.ticket, forged
			case m.ticket == forged && right != "":
				m.ticket = right
			}
			if ok {
				msg = m.bytes()
			}
			return []parcelOf{{by: d, msg: msg}}
		}
		honest := w.forward(a.clients.addr)
		n := w.clientBy(1, w.textFront(h.addr()), w.textFront(honest.addr())).ready()
		c := n.chat()
		if _, err := c.ping(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if honest.dials.Load() > 0 || right == "" {
			t.Fatal("the client does not go by the hostile edge")
		}
		h.ln.Close()
		h.cut()
		took, err := c.ping(2 * time.Minute)
		if err != nil || took > 5*time.Second {
			t.Errorf("after the hostile edge: got %v after %v, want an answer within 5 s", err, took)
		}
		if honest.dials.Load() == 0 {
			t.Error("the client does not go by the other front")
		}
		if err := c.finish(); err != nil {
			t.Error(err)
		}
	})
}
