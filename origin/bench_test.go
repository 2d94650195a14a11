package origin

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// accepting is API Gateway that takes everything.
var accepting = roundTrip(func(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
})

// BenchmarkPost is what a message costs on its way out, without the network:
// above all its hash and its signature.
func BenchmarkPost(b *testing.B) {
	for _, size := range []int{300, wire.MaxText} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			cfg := (&awsAnswers{}).gateway()
			cfg.Client = &http.Client{Transport: accepting}
			m, text := newManagement(cfg), bytes.Repeat([]byte("d"), size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if a := m.post(b.Context(), "L0SM9cOFvHcCIhw=", text); a != taken {
					b.Fatal(a)
				}
			}
		})
	}
}

// BenchmarkHanded is what a message costs on its way in, without net/http: it
// is read, checked, opened and told from its double.
func BenchmarkHanded(b *testing.B) {
	for _, size := range []int{300, wire.MaxTextBody} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			master := seal.NewMaster()
			x, posted := newPostingOrigin(b, master)
			client, signer := NewRawClient(b, master.Client(1)), wire.NewSigner(wire.GateKeys{master.GateKey()})
			hello := wire.Handed{Event: wire.Message, Conn: "L0SM9cOFvHcCIhw=", Text: client.Hello("")}
			serveHanded(b, x, signer.Sign(hello, time.Now()))
			client.Hear(<-posted.to(hello.Conn))
			pad := make([]byte, size-4-3-wire.RecordOverhead) // behind number and Turn; zeros are one Pad frame
			text := client.message("", x.fleet.ticket(&bearer{user: 1}), 1, pad)
			again := signer.Sign(wire.Handed{Event: wire.Message, Conn: hello.Conn, Text: text}, time.Now())
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				serveHanded(b, x, again)
			}
		})
	}
}

func serveHanded(b *testing.B, x *Origin, body []byte) {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	w := httptest.NewRecorder()
	if x.ServeHTTP(w, r); w.Code != http.StatusNoContent {
		b.Fatalf("got %d, want 204", w.Code)
	}
}
