package edge

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"culvert/internal/wire"
)

func TestAMessageGoesToTheOwnerThatItsTicketNames(t *testing.T) {
	t.Parallel()
	configured, owner := newOrigin(t), newOrigin(t)
	g, _ := newGate(t, configured.URL)
	text := up("", ticket(t, owner.at(t), testUser), "frames")
	wantStatus(t, g, event("MESSAGE", text), http.StatusOK)
	if n, _ := configured.got(); n != 0 {
		t.Errorf("got %d messages at the configured origin, want none", n)
	}
	n, h := owner.got()
	if n != 1 || h.Event != wire.Message || h.Conn != testConn || string(h.Text) != text {
		t.Errorf("got %d messages, the last %+v, want the one sent", n, h)
	}
}

func TestAHelloWithoutAGoodTicketGoesToTheConfiguredOrigin(t *testing.T) {
	t.Parallel()
	other := newOrigin(t)
	for name, tick := range map[string]string{
		"none":              "",
		"of another user":   ticket(t, other.at(t), testUser+1),
		"of another gate":   wire.NewTickets(testKeys(t, "x")).New(0, wire.Owner{At: other.at(t), User: testUser}, time.Now()),
		"of a public owner": ticket(t, netip.MustParseAddrPort("198.51.100.7:8080"), testUser),
	} {
		configured := newOrigin(t)
		g, _ := newGate(t, configured.URL)
		wantStatus(t, g, event("MESSAGE", up(token(t), tick, "frames")), http.StatusOK)
		if n, _ := configured.got(); n != 1 {
			t.Errorf("ticket %s: got %d messages at the configured origin, want 1", name, n)
		}
	}
	if n, _ := other.got(); n != 0 {
		t.Errorf("got %d messages at the other origin, want none", n)
	}
}

func TestAHelloWithItsOwnTicketGoesToTheOwner(t *testing.T) {
	t.Parallel()
	configured, owner := newOrigin(t), newOrigin(t)
	g, _ := newGate(t, configured.URL)
	wantStatus(t, g, event("MESSAGE", up(token(t), ticket(t, owner.at(t), testUser), "frames")), http.StatusOK)
	if n, _ := owner.got(); n != 1 {
		t.Errorf("got %d messages at the owner, want 1", n)
	}
}

func TestAStrangersHelloReachesNobody(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	stranger := tokenBy(t, "x")
	for _, tick := range []string{"", ticket(t, o.at(t), testUser)} {
		wantStatus(t, g, event("MESSAGE", up(stranger, tick, "frames")), http.StatusForbidden)
	}
	if n, _ := o.got(); n != 0 {
		t.Errorf("got %d messages at the origin, want none", n)
	}
}

func TestManyMessagesAtOnceAllArrive(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	text := up("", ticket(t, o.at(t), testUser), "frames")
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { wantStatus(t, g, event("MESSAGE", text), http.StatusOK) })
	}
	all.Wait()
	if n, _ := o.got(); n != 50 {
		t.Errorf("got %d messages, want 50", n)
	}
}

func TestAMessageForAnOwnerOutsideIsRefused(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, newOrigin(t).URL)
	for _, at := range []string{"198.51.100.7:8080", "169.254.169.254:8080"} {
		text := up("", ticket(t, netip.MustParseAddrPort(at), testUser), "frames")
		wantStatus(t, g, event("MESSAGE", text), http.StatusForbidden)
	}
}

func TestATicketNamesOnlyAddressesInside(t *testing.T) {
	t.Parallel()
	private, _ := newGate(t, "http://10.0.1.7:80")
	loopback, _ := newGate(t, "http://localhost:8080")
	for at, want := range map[string]struct{ private, loopback bool }{
		"10.0.1.7:8080":          {true, true},
		"10.0.1.7:80":            {true, false}, // the origin's own
		"10.0.1.7:443":           {false, false},
		"172.31.0.9:1024":        {true, true},
		"192.168.1.1:65535":      {true, true},
		"[fd12:3456::7]:8080":    {true, true},
		"[::ffff:10.0.1.7]:8080": {true, true},
		"127.0.0.1:8080":         {false, true},
		"[::1]:8080":             {false, true},
		"169.254.169.254:80":     {false, false},
		"169.254.170.2:8080":     {false, false},
		"[fe80::1]:8080":         {false, false},
		"[fd00:ec2::254]:8080":   {false, false},
		"198.51.100.7:8080":      {false, false},
		"[2001:db8::7]:8080":     {false, false},
		"0.0.0.0:8080":           {false, false},
		"[::]:8080":              {false, false},
		"224.0.0.1:8080":         {false, false},
	} {
		addr := netip.MustParseAddrPort(at)
		if got := private.mayCall(addr); got != want.private {
			t.Errorf("%s: got %v with a private origin, want %v", at, got, want.private)
		}
		if got := loopback.mayCall(addr); got != want.loopback {
			t.Errorf("%s: got %v with an origin on this machine, want %v", at, got, want.loopback)
		}
	}
}

// readEvent reads what encoding/json reads, whatever the body is and wherever
// else a "body" is.
func TestAnEventIsReadAsByEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"body":"plain","isBase64Encoded":true,"requestContext":{"apiId":"a"}}`,
		`{"requestContext":{"apiId":"a"},"body":"plain"}`,
		`{"body" : "spaced"}`,
		`{"body":""}`,
		`{"body":null}`,
		`{}`,
		`{"body":"with \"quotes\" and \\"}`,
		`{"body":"\u0041\ud83d\udca3"}`,
		`{"body":"é💣"}`,
		"{\"body\":\"no UTF-8: \xff\"}",
		`{"body":"ends in a backslash\\"}`,
		`{"body":"\\","stageVariables":{"body":"x"}}`,
		`{"body":"says \"body\":\"x\""}`,
		`{"queryStringParameters":{"body":"inner"},"body":"outer"}`,
		`{"queryStringParameters":{"body":"inner"}}`,
		`{"queryStringParameters":{"body":"inner"},"body": "outer"}`,
		`{"body":"first","body":"second"}`,
		`{"path":"\"body\":\"x\"","body":"outer"}`,
	} {
		got, err := readWhole(text)
		if want := unmarshal(t, text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v and %v, want %+v", text, got, err, want)
		}
	}
}

// readWhole puts the body back where encoding/json has it.
func readWhole(text string) (request, error) {
	e, body, err := readEvent([]byte(text))
	e.Body = string(body)
	return e, err
}

func unmarshal(t *testing.T, text string) (e request) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestWhatIsNoEventIsRefusedInOurWords(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t, newOrigin(t).URL)
	for _, text := range []string{"", "null ", "[]", `{"body":"`, `{"body":"x"`, `{"body":7,"requestContext":"secret"}`, "{\"body\":\"\x00\"}"} {
		reply, err := g.MessageHandler().Invoke(t.Context(), []byte(text))
		if err != nil && err != errEvent || err == nil && !strings.Contains(string(reply), "403") {
			t.Errorf("%q: got %s and the error %v, want 403 or %v", text, reply, err, errEvent)
		}
	}
}

func TestTheHandlerRepliesAsMessageDoes(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	g, _ := newGate(t, o.URL)
	payload, err := json.Marshal(messageTo(t, o.URL))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := g.MessageHandler().Invoke(t.Context(), payload)
	var r events.APIGatewayProxyResponse
	if json.Unmarshal(reply, &r) != nil || err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("got %s and the error %v, want 200", reply, err)
	}
	if n, h := o.got(); n != 1 || h.Conn != testConn {
		t.Errorf("got %d messages, the last %+v, want the one sent", n, h)
	}
}

func FuzzReadEvent(f *testing.F) {
	f.Add(`{"body":"plain","queryStringParameters":{"body":"inner"}}`)
	f.Add(`{"body":"\\\"","requestContext":{"apiId":"a","body":"x"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var want request
		if json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		if got, err := readWhole(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v and %v, want %+v", got, err, want)
		}
	})
}
