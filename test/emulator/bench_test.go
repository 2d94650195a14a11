package emulator

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/coder/websocket"
)

// served is a gateway on this machine's loopback.
func served(b *testing.B, f Function) (*Gateway, *websocket.Conn) {
	b.Helper()
	g := New(Routes{Default: f}, Options{RequestRate: 1e9, RequestBurst: 1e9})
	srv := httptest.NewServer(g)
	c, _, err := websocket.Dial(b.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+"/v1", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		c.CloseNow()
		g.Close()
		srv.Close()
	})
	return g, c
}

// exchanges sends a message and waits until the function has run. The function
// fails, so that the gateway says when.
func exchanges(b *testing.B, f Function, size int) {
	_, c := served(b, f)
	text := []byte(strings.Repeat("x", size))
	took := make([]time.Duration, 0, b.N)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		if err := c.Write(b.Context(), websocket.MessageText, text); err != nil {
			b.Fatal(err)
		}
		if _, _, err := c.Read(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func BenchmarkInProcess(b *testing.B) {
	for name, size := range map[string]int{"64B": 64, "32KB": frame} {
		b.Run(name, func(b *testing.B) {
			f := NewInProcess(func(context.Context, events.APIGatewayWebsocketProxyRequest) (string, error) { return "", nil }, Settings{})
			b.Cleanup(f.Close)
			exchanges(b, f, size)
		})
	}
}

func BenchmarkProcess(b *testing.B) {
	path, err := bootstrap()
	if err != nil {
		b.Fatal(err)
	}
	for name, size := range map[string]int{"64B": 64, "32KB": frame} {
		b.Run(name, func(b *testing.B) {
			f := NewProcess(path, Settings{Env: map[string]string{"START": "nonsense"}})
			b.Cleanup(f.Close)
			exchanges(b, f, size)
		})
	}
}

func BenchmarkPost(b *testing.B) {
	for name, size := range map[string]int{"64B": 64, "32KB": frame, "128KB": message} {
		b.Run(name, func(b *testing.B) {
			g, c := served(b, nil)
			c.SetReadLimit(-1)
			in := signedPost(b, g, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				in.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", size)))
				w := httptest.NewRecorder()
				g.ServeHTTP(w, in)
				if w.Code != http.StatusOK {
					b.Fatalf("got %d, want 200", w.Code)
				}
				if _, _, err := c.Read(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// signedPost is a post to the gateway's only connection.
func signedPost(b *testing.B, g *Gateway, size int) *http.Request {
	b.Helper()
	g.opt.Credentials = owner
	var id string
	for id = range g.conns {
	}
	r := httptest.NewRequest(http.MethodPost, "/v1/@connections/"+strings.ReplaceAll(id, "=", "%3D"), nil)
	sum := sha256.Sum256([]byte(strings.Repeat("x", size)))
	if err := g.signer.SignHTTP(b.Context(), owner, r, hex.EncodeToString(sum[:]), "execute-api", "us-east-1", time.Now()); err != nil {
		b.Fatal(err)
	}
	r.ContentLength = int64(size)
	return r
}

// What an idle connection costs, the HTTP server's part included.
func BenchmarkIdleConnections(b *testing.B) {
	g := New(Routes{}, Options{ConnectRate: 1e9, MaxConnections: 1e9})
	srv := httptest.NewServer(http.Handler(g))
	b.Cleanup(func() { g.Close(); srv.Close() })
	before := heap()
	for b.Loop() {
		c, _, err := websocket.Dial(b.Context(), "ws"+strings.TrimPrefix(srv.URL, "http")+"/v1", nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.CloseNow() })
	}
	b.ReportMetric(float64(heap()-before)/float64(b.N), "B/conn")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
