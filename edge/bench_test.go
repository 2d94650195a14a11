package edge

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"culvert/internal/handover"
	"culvert/internal/wire"
)

// accepted answers 204 at once.
type accepted struct{}

func (accepted) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusNoContent, Body: http.NoBody}, nil
}

func benchGate(b *testing.B) (*Gate, request) {
	g, _ := newGate(b, "http://10.0.1.7:8080")
	g.origins = handover.New(&http.Client{Transport: accepted{}})
	text := up("", ticket(b, netip.MustParseAddrPort("10.0.1.7:8080"), testUser), "")
	return g, event("MESSAGE", text+strings.Repeat("x", wire.MaxText-len(text)))
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

// The same from the event's JSON on.
func BenchmarkMessageEvent(b *testing.B) {
	g, _ := benchGate(b)
	benchEvent(b, g.MessageHandler())
}

// What MessageHandler saves: aws-lambda-go reads the event.
func BenchmarkMessageEventByReflection(b *testing.B) {
	g, _ := benchGate(b)
	benchEvent(b, lambda.NewHandler(g.Message))
}

func benchEvent(b *testing.B, h lambda.Handler) {
	_, e := benchGate(b)
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
