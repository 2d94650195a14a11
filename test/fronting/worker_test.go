package fronting

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"culvert/internal/wire"
	"culvert/test/ports"
)

// gateSecret is that of the worker's gate.
var gateSecret = strings.Repeat("Culvert1", 8)

// aKey is a WebSocket's, from RFC 6455.
const aKey = "dGhlIHNhbXBsZSBub25jZQ=="

// A workerRuntime runs edge/worker. .ci/worker sets the settings that name the program, and what "npx wrangler
// deploy" would publish.
type workerRuntime struct {
	name, program string // and the setting that holds the program's path
	args          func(t *testing.T, at string) []string
}

var runtimes = []workerRuntime{
	{"workerd", "CULVERT_WORKERD", func(_ *testing.T, at string) []string {
		return []string{"serve", workerConfig, "--socket-addr", "http=" + at}
	}},
	{"workerd as published", "CULVERT_WORKERD", func(t *testing.T, at string) []string {
		return []string{"serve", bundled(t), "--socket-addr", "http=" + at}
	}},
	{"Deno", "CULVERT_DENO", func(*testing.T, string) []string {
		return []string{"run", "--quiet", "--no-prompt", "--allow-env", "--allow-net", "../../edge/worker/deno.js"}
	}},
	{"Node.js", "CULVERT_NODE", func(*testing.T, string) []string { return []string{"../../edge/worker/deno.js"} }},
}

const workerConfig = "../../edge/worker/workerd.capnp"

// bundled is a file of settings that has the bundle for its one module.
func bundled(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CULVERT_BUNDLE")
	if dir == "" {
		missing(t, "what 'wrangler deploy --dry-run' writes")
	}
	config, err := os.ReadFile(workerConfig)
	must(t, err)
	modules := regexp.MustCompile(`(?s)modules = \[.*?\n  \],`)
	one := modules.ReplaceAllString(string(config), `modules = [(name = "worker", esModule = embed "worker.js")],`)
	return write(t, one, dir, strings.ReplaceAll(t.Name(), "/", "-")+".capnp") // beside what it embeds
}

// workers are the runtimes that tests run over. Each run has a worker before the origin given, which listens
// at an address in plain HTTP.
func workers(t *testing.T, test func(t *testing.T, run func(origin string) (at string))) {
	for _, r := range runtimes {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			path := os.Getenv(r.program)
			if path == "" {
				t.Skip(r.program + " is not set: .ci/worker does that")
			}
			test(t, func(origin string) string {
				at := ports.Loopback()
				start(t, []string{"ORIGIN=" + origin, "GATE_SECRETS=" + gateSecret, "LISTEN=" + at}, path, r.args(t, at)...).up(at)
				return at
			})
		})
	}
}

// tlsBefore is TLS before a worker, as its platform has it: how a link names it, and the certificate.
func (w *world) tlsBefore(at string) (front, pin string) {
	w.Helper()
	c := &cdn{world: w}
	c.makeCertificate()
	pair, err := tls.LoadX509KeyPair(c.pair, c.pair)
	must(w, err)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}})
	must(w, err)
	w.Cleanup(func() { ln.Close() })
	go func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			go join(near, at)
		}
	}()
	return "wss://" + ln.Addr().String() + "/assets/live;sni=none", c.pin
}

// join copies between near and at until either ends.
func join(near net.Conn, at string) {
	defer near.Close()
	far, err := net.Dial("tcp", at)
	if err != nil {
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() { io.Copy(way[0], way[1]); ended <- struct{}{} }()
	}
	<-ended
}

func TestChatAndMediaCrossAWorker(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		w := newGatedWorld(t, gateSecret)
		front, pin := w.tlsBefore(run("http://" + w.origin))
		link := w.link(pin, front)
		if v, err := w.doctor(link); err != nil || !v.OK {
			t.Errorf("doctor: got %v, failed at %q, want all well", err, v.failedAt())
		}
		exchange(t, w.connect(link), 20<<20)
	})
}

// attempt is what a stranger tries.
type attempt struct {
	name   string
	method string
	path   string
	header []string // names and values
	body   string
}

// seen is what shows of an answer, whatever words for the status, and order and
// spelling of headers, the runtime has.
func (v attempt) seen(t testing.TB, at string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), v.method, "http://"+at+v.path, strings.NewReader(v.body))
	must(t, err)
	for i := 0; i < len(v.header); i += 2 {
		r.Header.Add(v.header[i], v.header[i+1])
	}
	own := http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer own.CloseIdleConnections()
	res, err := own.RoundTrip(r)
	if err != nil {
		t.Errorf("%s: %v", v.name, err)
		return ""
	}
	defer res.Body.Close()
	if _, ok := res.Header["Date"]; !ok {
		t.Errorf("%s: got no Date", v.name)
	}
	for _, ours := range []string{"Date", "Connection", "Keep-Alive"} { // those of a hop
		res.Header.Del(ours)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.Status
	}
	body, err := io.ReadAll(res.Body)
	check(t, v.name, err)
	var headers strings.Builder
	res.Header.Write(&headers) // sorted
	return fmt.Sprintln(res.StatusCode) + headers.String() + "\n" + string(body)
}

// upgrade asks for a WebSocket, with these headers changed or, where they are empty, left out.
func upgrade(changed ...string) []string {
	h := []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", aKey}
	for i := 0; i < len(changed); i += 2 {
		switch at := slices.Index(h, changed[i]); {
		case at < 0:
			h = append(h, changed[i:i+2]...)
		case changed[i+1] == "":
			h = slices.Delete(h, at, at+2)
		default:
			h[at+1] = changed[i+1]
		}
	}
	return h
}

// strangers are attempts that let nobody in.
func strangers(w *world) []attempt {
	used := w.token()
	c, _, err := websocket.Dial(w.Context(), "ws://"+w.origin, &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {used}}})
	must(w, err)
	c.CloseNow()
	stranger := &world{TB: w, master: w.master.WithGate(wire.GateKey{})}
	good := w.token()
	return []attempt{
		{name: "the first page", method: "GET", path: "/"},
		{name: "another page", method: "GET", path: "/about.html?x=1"},
		{name: "a picture", method: "GET", path: "/favicon.ico"},
		{name: "no such page", method: "GET", path: "/wp-login.php"},
		{name: "a name that objects have", method: "GET", path: "/__proto__"},
		{name: "a head", method: "HEAD", path: "/"},
		{name: "a head of nothing", method: "HEAD", path: "/x"},
		{name: "a form", method: "POST", path: "/", body: "user=admin"},
		{name: "an empty form", method: "POST", path: "/x"},
		{name: "another method", method: "PUT", path: "/"},
		{name: "a page that is known", method: "GET", path: "/", header: []string{"If-Modified-Since", "Sun, 12 Oct 2025 16:20:07 GMT"}},
		{name: "a tag that is not", method: "GET", path: "/", header: []string{"If-None-Match", `"x"`, "If-Modified-Since", "Sun, 12 Oct 2025 16:20:07 GMT"}},
		{name: "any tag", method: "GET", path: "/", header: []string{"If-None-Match", "*"}},
		{name: "a part", method: "GET", path: "/style.css", header: []string{"Range", "bytes=5-9"}},
		{name: "an end", method: "GET", path: "/style.css", header: []string{"Range", "bytes=-9"}},
		{name: "a rest", method: "GET", path: "/style.css", header: []string{"Range", "bytes=600-"}},
		{name: "a part beyond the end", method: "GET", path: "/style.css", header: []string{"Range", "bytes=9000-"}},
		{name: "a part that ends before it begins", method: "GET", path: "/style.css", header: []string{"Range", "bytes=9-5"}},
		{name: "a part in another unit", method: "GET", path: "/style.css", header: []string{"Range", "lines=1-2"}},
		{name: "a part of another page", method: "GET", path: "/style.css", header: []string{"Range", "bytes=5-9", "If-Range", `"x"`}},
		{name: "a page by another tag", method: "GET", path: "/", header: []string{"If-Match", `"x"`, "If-None-Match", "*"}},
		{name: "a page of whatever tag", method: "GET", path: "/", header: []string{"If-Match", "*"}},
		{name: "a page of before", method: "GET", path: "/", header: []string{"If-Unmodified-Since", "Sun, 12 Oct 2025 16:20:06 GMT"}},
		{name: "a date of ISO 8601", method: "GET", path: "/", header: []string{"If-Modified-Since", "2026-10-12T16:20:07Z"}},
		{name: "a date of asctime", method: "GET", path: "/", header: []string{"If-Modified-Since", "Sun Oct 12 16:20:07 2025"}},
		{name: "a date of RFC 850", method: "GET", path: "/", header: []string{"If-Modified-Since", "Sunday, 12-Oct-25 16:20:06 GMT"}},
		{name: "an escaped path", method: "GET", path: "/%61bout"},
		{name: "an escaped path that is no text", method: "GET", path: "/%ff"},
		{name: "an upgrade", method: "GET", path: "/", header: upgrade()},
		{name: "an upgrade elsewhere", method: "GET", path: "/v1", header: upgrade()},
		{name: "a token, and no upgrade", method: "GET", path: "/", header: []string{"Cookie", good}},
		{name: "a token, and a head", method: "HEAD", path: "/", header: upgrade("Cookie", good)},
		{name: "a token, and a form", method: "POST", path: "/", header: upgrade("Cookie", good), body: "x"},
		{name: "a token of no one", method: "GET", path: "/", header: upgrade("Cookie", "session="+strings.Repeat("A", 68))},
		{name: "a token of garbage", method: "GET", path: "/", header: upgrade("Cookie", "session=%00%ff; ; =")},
		{name: "a token of another gate", method: "GET", path: "/", header: upgrade("Cookie", stranger.tokenOf(7, time.Now()))},
		{name: "a token that was used", method: "GET", path: "/", header: upgrade("Cookie", used)},
		{name: "a token that was used, elsewhere", method: "GET", path: "/x", header: upgrade("Cookie", used)},
		{name: "an old token", method: "GET", path: "/", header: upgrade("Cookie", w.tokenOf(7, time.Now().Add(-6*time.Minute)))},
		{name: "an early token", method: "GET", path: "/", header: upgrade("Cookie", w.tokenOf(7, time.Now().Add(6*time.Minute)))},
		{name: "a token without a key", method: "GET", path: "/", header: upgrade("Cookie", good, "Sec-WebSocket-Key", "")},
		{name: "a token with a bad key", method: "GET", path: "/", header: upgrade("Cookie", good, "Sec-WebSocket-Key", "c2hvcnQ=")},
		{name: "a token with another version", method: "GET", path: "/", header: upgrade("Cookie", good, "Sec-WebSocket-Version", "8")},
		{name: "a token without a version", method: "GET", path: "/", header: upgrade("Cookie", good, "Sec-WebSocket-Version", "")},
		{name: "a token without Connection", method: "GET", path: "/", header: upgrade("Cookie", good, "Connection", "close")},
		{name: "a token with another protocol", method: "GET", path: "/", header: upgrade("Cookie", good, "Upgrade", "h2c")},
	}
}

// What a stranger sees of a worker is what bin/edge shows: also when the origin is down.
func TestAWorkerRefusesAsAnEdgeDoes(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		w := newGatedWorld(t, gateSecret)
		at, edge := run("http://"+w.origin), w.plainEdge()
		all := strangers(w)
		same := func(when string) {
			for _, v := range all {
				if got, want := v.seen(t, at), v.seen(t, edge); got != want {
					t.Errorf("%s, %s: got %q, want %q", v.name, when, got, want)
				}
			}
		}
		same("while the origin is up")
		plain := attempt{method: "GET", path: "/any/path"}.seen(t, edge)
		two := attempt{name: "a token, twice", method: "GET", path: "/any/path", header: upgrade("Cookie", w.token()+"; "+w.token())}
		if got := two.seen(t, at); got != plain {
			t.Errorf("with a token twice: got %q, want %q", got, plain)
		}
		let := attempt{name: "a token", method: "GET", path: "/any/path?x", header: upgrade("Cookie", "a=b; "+w.token())}
		if got := let.seen(t, at); got != "101 Switching Protocols" {
			t.Errorf("with a token: got %q, want a socket", got)
		}
		w.far.stop(os.Interrupt)
		same("while the origin is down")
		let.header = upgrade("Cookie", w.token())
		if got := let.seen(t, at); got != plain {
			t.Errorf("with a token while the origin is down: got %q, want %q", got, plain)
		}
	})
}

// plainEdge is bin/edge in plain HTTP.
func (w *world) plainEdge() (address string) {
	w.Helper()
	address = ports.Loopback()
	start(w, []string{"CULVERT_LISTEN=" + address, "CULVERT_ORIGIN=http://" + w.origin, "CULVERT_ADMIN_LISTEN=off", "CULVERT_DRAIN=1s"},
		filepath.Join(bin, "edge")).up(address)
	return address
}

func TestAWorkerCarriesAHundredConnections(t *testing.T) {
	t.Parallel()
	workers(t, func(t *testing.T, run func(string) string) {
		w := newGatedWorld(t, gateSecret)
		at := run("http://" + w.origin)
		const many = 100
		conns := make([]*websocket.Conn, many)
		var all sync.WaitGroup
		for i := range many {
			all.Go(func() { conns[i] = w.challenged(at, uint32(i)) })
		}
		all.Wait()
		wantSoon(t, 10*time.Second, "the origin has all of them", func() bool { return w.unproven() == many })
		for _, c := range conns {
			if c != nil {
				c.CloseNow()
			}
		}
		wantSoon(t, 10*time.Second, "the origin has none of them", func() bool { return w.unproven() == 0 })
	})
}

// challenged is a carrier of user's that the origin has said something to.
func (w *world) challenged(at string, user uint32) *websocket.Conn {
	ctx, cancel := context.WithTimeout(w.Context(), 20*time.Second)
	defer cancel()
	header := http.Header{"Cookie": {w.tokenOf(user, time.Now())}}
	c, _, err := websocket.Dial(ctx, "ws://"+at+"/", &websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		_, _, err = c.Read(ctx)
	}
	check(w, "a connection of a hundred", err)
	return c
}

// unproven is how many carriers the origin has that have proved nothing.
func (w *world) unproven() (n int) {
	res, err := http.Get("http://" + w.admin + "/metrics")
	if err != nil {
		return -1
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		fmt.Sscanf(lines.Text(), "culvert_carriers_unproven %d", &n)
	}
	return n
}
