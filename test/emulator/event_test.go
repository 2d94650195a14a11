package emulator

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// collect passes on what a gateway sends to its functions.
func collect(into chan<- []byte) Function {
	return handler(func(_ context.Context, in []byte) ([]byte, error) {
		into <- in
		return []byte(ok), nil
	})
}

// life is the three events of a connection that its client closes.
func life(t *testing.T, r *rig) (connect, message, disconnect []byte) {
	all := make(chan []byte, 3)
	f := collect(all)
	r.gate.routes = Routes{f, f, f}
	c, _, err := r.try(websocket.DialOptions{HTTPHeader: map[string][]string{"Cookie": {"a=b"}, "X-Forwarded-For": {"192.0.2.7"}}})
	if err != nil {
		t.Fatal(err)
	}
	r.send(c, `<&> "quoted"`)
	synctest.Wait()
	c.Close(4001, "enough")
	synctest.Wait()
	return <-all, <-all, <-all
}

// recorded is an event that aws-lambda-go has in its testdata.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-lambda-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "events", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shape lists the paths of all values in a JSON object, but not those of headers.
func shape(t *testing.T, b []byte) []string {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal(b, &top); err != nil {
		t.Fatal(err)
	}
	var paths []string
	var walk func(prefix string, o map[string]any)
	walk = func(prefix string, o map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(o)) {
			if inner, ok := o[name].(map[string]any); ok && !strings.HasSuffix(strings.ToLower(name), "headers") {
				walk(prefix+name+".", inner)
				continue
			}
			paths = append(paths, prefix+name)
		}
	}
	walk("", top)
	return paths
}

func TestEventsHaveTheFieldsOfRecordedOnes(t *testing.T) {
	recordedMessage := shape(t, recorded(t, "apigw-websocket-request-send-message.json"))
	recordedEnd := shape(t, recorded(t, "apigw-websocket-request-disconnect.json"))
	bubble(t, Options{}, func(t *testing.T, r *rig) {
		_, message, disconnect := life(t, r)
		if got := shape(t, message); !slices.Equal(got, recordedMessage) {
			t.Errorf("message: got %q,\nwant %q", got, recordedMessage)
		}
		if got := shape(t, disconnect); !slices.Equal(got, recordedEnd) {
			t.Errorf("disconnect: got %q,\nwant %q", got, recordedEnd)
		}
	})
}

func TestEventsSayWhatHappened(t *testing.T) {
	bubble(t, Options{API: "abcdef1234", Region: "eu-west-1"}, func(t *testing.T, r *rig) {
		texts := [3][]byte{}
		texts[0], texts[1], texts[2] = life(t, r)
		var all [3]events.APIGatewayWebsocketProxyRequest
		for i := range all {
			if err := json.Unmarshal(texts[i], &all[i]); err != nil {
				t.Fatal(err)
			}
		}
		connect, message, end := all[0], all[1], all[2]
		want := events.APIGatewayWebsocketProxyRequestContext{
			RouteKey: "$connect", EventType: "CONNECT", MessageDirection: "IN", Stage: "v1", APIID: "abcdef1234",
			DomainName:  "abcdef1234.execute-api.eu-west-1.amazonaws.com",
			RequestTime: "01/Jan/2000:00:00:00 +0000", RequestTimeEpoch: time.Now().UnixMilli(), ConnectedAt: time.Now().UnixMilli(),
			ConnectionID: connect.RequestContext.ConnectionID, RequestID: connect.RequestContext.RequestID, ExtendedRequestID: connect.RequestContext.RequestID,
			Identity: events.APIGatewayRequestIdentity{SourceIP: "pipe", UserAgent: "Go-http-client/1.1"},
		}
		if got := connect.RequestContext; got.ConnectionID == "" || got.RequestID == "" || asJSON(got) != asJSON(want) {
			t.Errorf("got %s,\nwant %s", asJSON(got), asJSON(want))
		}
		if got := connect.Headers; got["Cookie"] != "a=b" || got["Host"] != "gateway.example" || got["Sec-WebSocket-Version"] != "13" ||
			got["X-Forwarded-For"] != "192.0.2.7, pipe" || got["Upgrade"] != "" {
			t.Errorf("got headers %q", got)
		}
		if got := connect.MultiValueQueryStringParameters["b"]; !slices.Equal(got, []string{"2", "3"}) || connect.QueryStringParameters["b"] != "3" {
			t.Errorf("got query %q and %q, want both values and the last", got, connect.QueryStringParameters["b"])
		}
		if message.Body != `<&> "quoted"` || !strings.Contains(string(texts[1]), `"body":"<&> \"quoted\""`) {
			t.Errorf("got body %q as %s", message.Body, texts[1])
		}
		if got := end.RequestContext; got.DisconnectStatusCode != 4001 || *got.DisconnectReason != "enough" || got.ConnectionID != want.ConnectionID {
			t.Errorf("got %s, want the client's code and reason", asJSON(got))
		}
	})
}

func asJSON(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

// However a connection ends, $disconnect hears of it once, with the code.
func TestDisconnectHearsOfEveryEnd(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*rig, *websocket.Conn)
		want int
	}{
		{"closed by the client", func(_ *rig, c *websocket.Conn) { c.Close(websocket.StatusNormalClosure, "") }, 1000},
		{"gone", func(_ *rig, c *websocket.Conn) { c.CloseNow() }, 1006},
		{"idle", func(_ *rig, c *websocket.Conn) { c.Read(context.Background()) }, 1001},
		{"binary", func(r *rig, c *websocket.Conn) {
			c.Write(context.Background(), websocket.MessageBinary, nil)
			c.Read(context.Background())
		}, 1003},
	} {
		named(t, c.name, func(t *testing.T, r *rig) {
			ends := make(chan []byte, 2)
			r.gate.routes.Disconnect = collect(ends)
			c.do(r, r.connect())
			synctest.Wait()
			var got events.APIGatewayWebsocketProxyRequest
			if err := json.Unmarshal(<-ends, &got); err != nil {
				t.Fatal(err)
			}
			if got := got.RequestContext; got.DisconnectStatusCode != int64(c.want) || len(ends) > 0 {
				t.Errorf("got code %d and %d more events, want %d and none", got.DisconnectStatusCode, len(ends), c.want)
			}
		})
	}
}
