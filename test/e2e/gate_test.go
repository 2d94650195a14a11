package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/origin"
)

// upgrade is a request for a WebSocket as a client sends it, before a test
// spoils it.
type upgrade struct {
	method, path, proto string
	header              []string
}

func (w *world) upgrade(token string) upgrade {
	u := upgrade{"GET", "/", "HTTP/1.1", []string{
		"Host: front.example", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
	}}
	if token != "" {
		u.header = append(u.header, "Cookie: "+wire.TokenCookie+"="+token)
	}
	return u
}

func (w *world) token(user uint32) string { return w.tokenAt(user, 0) }

func (w *world) tokenAt(user uint32, age time.Duration) string {
	token := w.newToken(user, time.Now().Add(-age))
	return token.Text()
}

func (w *world) newToken(user uint32, at time.Time) wire.Token {
	return wire.NewToken(user, w.master.GateKey().TokenKey(user), w.master.Pair(user).ProofKey(), at)
}

// forged is a token of user 1 by keys of which at most one is user 1's.
func (w *world) forged(gate wire.TokenKey, proof [32]byte) string {
	token := wire.NewToken(1, gate, proof, time.Now())
	return token.Text()
}

func (u upgrade) with(old, instead string) upgrade {
	var header []string
	for _, h := range u.header {
		if h == old || strings.HasPrefix(h, old+":") {
			h = instead
		}
		if h != "" {
			header = append(header, h)
		}
	}
	u.header = header
	return u
}

func (u upgrade) String() string {
	return fmt.Sprintf("%s %s %s\r\n%s\r\n\r\n", u.method, u.path, u.proto, strings.Join(u.header, "\r\n"))
}

// plain is an ordinary visit of the same path.
func (u upgrade) plain() string {
	return fmt.Sprintf("%s %s %s\r\nHost: front.example\r\n\r\n", u.method, u.path, u.proto)
}

// refusals are all that may be wrong with an upgrade.
func (w *world) refusals() map[string]upgrade {
	good := func() upgrade { return w.upgrade(w.token(1)) } // each its own token, which is good once
	key, proof := w.master.GateKey().TokenKey(1), w.master.Pair(1).ProofKey()
	all := map[string]upgrade{
		"no token":              w.upgrade(""),
		"an empty token":        w.upgrade("").with("Host", "Host: front.example\r\nCookie: "+wire.TokenCookie+"="),
		"an expired token":      w.upgrade(w.tokenAt(1, wire.TokenLife+10*time.Second)),
		"a token of the future": w.upgrade(w.tokenAt(1, -wire.TokenLife-time.Hour)),
		"another user's key":    w.upgrade(w.forged(w.master.GateKey().TokenKey(2), proof)),
		"another gate":          w.upgrade(w.forged(wire.GateKey{}.TokenKey(1), proof)),
		"what a gate has made":  w.upgrade(w.forged(key, [32]byte{})),
		"another's proof":       w.upgrade(w.forged(key, w.master.Pair(2).ProofKey())),
		"a revoked user":        w.upgrade(w.token(666)),
		"a malformed token":     w.upgrade("x" + w.token(1)[1:]),
		"a token too long":      w.upgrade(w.token(1) + "A"),
		"a huge token":          w.upgrade(strings.Repeat("A", 8000)),
		"another cookie":        good().with("Cookie", "Cookie: sid="+w.token(1)),
		"a token elsewhere":     good().with("Cookie", "Authorization: Bearer "+w.token(1)),
		"no version":            good().with("Sec-WebSocket-Version", ""),
		"version 8":             good().with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
		"no key":                good().with("Sec-WebSocket-Key", ""),
		"a short key":           good().with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAA"),
		"a key of no base64":    good().with("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!!!"),
		"a key of 18 bytes":     good().with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"),
		"two keys":              good().with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
		"another protocol":      good().with("Upgrade", "Upgrade: h2c"),
		"no upgrade":            good().with("Upgrade", ""),
		"no connection":         good().with("Connection", ""),
	}
	for _, method := range []string{"POST", "PUT", "HEAD", "DELETE", "OPTIONS", "BREW"} {
		u := good()
		u.method = method
		all["method "+method] = u
	}
	for _, path := range []string{"/about.html", "/missing", "//", "/?x=y", "/%2e%2e/", "/index.html", "/robots.txt", "/ws"} {
		u := w.upgrade("")
		u.path = path
		all["no token at "+path] = u
	}
	old := good()
	old.proto = "HTTP/1.0"
	all["HTTP/1.0"] = old
	return all
}

var date = regexp.MustCompile(`(?m)^Date: .*\r$`)

// answer is all that comes for a request and one more after it, without dates.
func answer(t testing.TB, dial func() net.Conn, method, request string) string {
	t.Helper()
	c := dial()
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, request)
	io.WriteString(c, "GET /after HTTP/1.1\r\nHost: front.example\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(c)
	if err != nil && len(all) == 0 {
		t.Fatalf("%q: %v", request[:min(60, len(request))], err)
	}
	return date.ReplaceAllString(string(all), "Date: then\r")
}

// doors are the ways in: TLS, plain as behind a CDN, and an edge.
func (w *world) doors(change ...func(*origin.Config)) map[string]func() net.Conn {
	secure := w.originOn(true, change...)
	return map[string]func() net.Conn{
		"TLS":   w.dialTLS(secure.addr),
		"plain": w.dialPlain(w.originOn(false, change...).addr),
		"edge":  w.dialTLS(w.edge(secure.addr).addr),
	}
}

func (w *world) dialPlain(addr string) func() net.Conn {
	return func() net.Conn {
		c, err := net.Dial("tcp", addr)
		must(w, err)
		return c
	}
}

func (w *world) dialTLS(addr string) func() net.Conn {
	return func() net.Conn {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		must(w, err)
		return c
	}
}

func revoke666(c *origin.Config) { c.Revoked = func(user uint32) bool { return user == 666 } }

func TestEveryRefusalIsAnOrdinaryVisit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for door, dial := range w.doors(revoke666) {
		for name, u := range w.refusals() {
			got, want := answer(t, dial, u.method, u.String()), answer(t, dial, u.method, u.plain())
			if got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", door, name, head(got), head(want))
			}
		}
	}
}

func TestAllDoorsAnswerAlike(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	doors := w.doors()
	for name, u := range w.refusals() {
		want := answer(t, doors["TLS"], u.method, u.plain())
		for door, dial := range doors {
			if got := answer(t, dial, u.method, u.plain()); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", door, name, head(got), head(want))
			}
		}
	}
}

func head(s string) string { return s[:min(len(s), 600)] }

func TestAValidTokenOpensEachDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for door, dial := range w.doors() {
		c := dial()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, w.upgrade(w.token(1)).String())
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s: got %v, %v; want 101", door, res, err)
		}
		c.Close()
	}
}

func TestSlowUpgradesAreCut(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		o := w.originOn(false)
		c, err := w.net.dial(t.Context(), "tcp", o.addr)
		must(t, err)
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, b := range []byte(w.upgrade(w.token(1)).String()) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		c.SetReadDeadline(time.Now().Add(time.Hour))
		io.Copy(io.Discard, c)
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("cut after %v, want 15 s at most", took)
		}
		c.Close()
		<-done
	})
}
