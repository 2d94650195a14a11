package edge

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/wire"
)

const (
	testAPI  = "k2pbx7q4mj"
	testConn = "R1kmxc2VNjMCFIA="
	testUser = 7
)

func testKeys(t testing.TB, letter string) wire.GateKeys {
	t.Helper()
	keys, err := wire.ParseGateKeys(strings.Repeat(letter, 64))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// testOrigin takes what is handed on with the right key.
type testOrigin struct {
	*httptest.Server
	checker *wire.Checker

	mu    sync.Mutex // guards the following
	taken []wire.Handed
}

func newOrigin(t *testing.T) *testOrigin {
	t.Helper()
	o := &testOrigin{checker: wire.NewChecker(testKeys(t, "k"))}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *testOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h, err := o.checker.Check(body, time.Now())
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" {
		io.WriteString(w, "the site")
		return
	}
	o.mu.Lock()
	o.taken = append(o.taken, h)
	o.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// got is how many messages have come, and the last.
func (o *testOrigin) got() (int, wire.Handed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.taken) == 0 {
		return 0, wire.Handed{}
	}
	return len(o.taken), o.taken[len(o.taken)-1]
}

func (o *testOrigin) at(t testing.TB) netip.AddrPort { return addressOf(t, o.URL) }

func addressOf(t testing.TB, origin string) netip.AddrPort {
	t.Helper()
	at, err := netip.ParseAddrPort(strings.TrimPrefix(origin, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// newGate is for the origin at a URL.
func newGate(t testing.TB, origin string) (*Gate, *bytes.Buffer) {
	t.Helper()
	at, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	g, err := New(Config{
		Keys: testKeys(t, "k"), Origin: at, API: testAPI, Stage: "v1", Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, log
}

func event(eventType, body string) request {
	var e request
	e.RequestContext.APIID, e.RequestContext.Stage = testAPI, "v1"
	e.RequestContext.EventType, e.RequestContext.ConnectionID = eventType, testConn
	e.Body = body
	return e
}

func token(t testing.TB) string { return tokenBy(t, "k") }

// tokenBy is a token of testUser's by the gate key of a letter. Its proof is for the origin
// alone: no gate looks at it.
func tokenBy(t testing.TB, letter string) string {
	made := wire.NewToken(testUser, testKeys(t, letter)[0].TokenKey(testUser), [32]byte{}, time.Now())
	return made.Text()
}

func ticket(t testing.TB, at netip.AddrPort, user uint32) string {
	return wire.NewTickets(testKeys(t, "k")).New(0, wire.Owner{At: at, User: user}, time.Now())
}

// up is a client's message.
func up(token, ticket, rest string) string { return string(wire.AppendUp(nil, token, ticket)) + rest }

// wantStatus wants g to answer e with status and no error.
func wantStatus(t *testing.T, g *Gate, e request, status int) {
	t.Helper()
	r, err := g.Message(t.Context(), e)
	if err != nil || r.StatusCode != status {
		t.Errorf("got %d and the error %v, want %d", r.StatusCode, err, status)
	}
}

// wantLost wants g to fail for e, in words that hold no address.
func wantLost(t *testing.T, g *Gate, e request, want error) {
	t.Helper()
	if _, err := g.Message(t.Context(), e); err != want {
		t.Errorf("got the error %v, want %v", err, want)
	}
}
