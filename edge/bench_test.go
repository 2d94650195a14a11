package edge

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/internal/wire"
)

// accepted answers 204 at once.
type accepted struct{}

func (accepted) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

func benchGate(b *testing.B) (*Gate, request) {
	keys, err := wire.ParseGateKeys(strings.Repeat("k", 64))
	if err != nil {
		b.Fatal(err)
	}
	origin, _ := url.Parse("http://10.0.1.7:8080")
	g, err := New(Config{Keys: keys, Origin: origin, API: "api", Stage: "v1"})
	if err != nil {
		b.Fatal(err)
	}
	g.client.Transport = accepted{}
	ticket := wire.NewTickets(keys).New(wire.Owner{At: netip.MustParseAddrPort("10.0.1.7:8080"), User: 7}, time.Now())
	body := wire.AppendUp(nil, "", ticket)
	body = append(body, strings.Repeat("x", wire.MaxText-len(body))...)
	var e request
	e.RequestContext.APIID, e.RequestContext.Stage, e.RequestContext.EventType = "api", "v1", "MESSAGE"
	e.RequestContext.ConnectionID = "R1kmxc2VNjMCFIA="
	e.Body = string(body)
	return g, e
}

// A full message beside the hand-over.
func BenchmarkMessage(b *testing.B) {
	g, e := benchGate(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(e.Body)))
	for b.Loop() {
		if r, err := g.Message(b.Context(), e); err != nil || r.StatusCode != http.StatusOK {
			b.Fatalf("got %d and %v, want 200", r.StatusCode, err)
		}
	}
}

// The same with the event's JSON, which aws-lambda-go reads.
func BenchmarkMessageEvent(b *testing.B) {
	g, e := benchGate(b)
	h := lambda.NewHandler(g.Message)
	payload, err := json.Marshal(e)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(e.Body)))
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
}
