package edge

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

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
