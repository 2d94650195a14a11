package transport

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// An edge may agree to compress, as the client offers it like a browser.
func TestWhatAnEdgeCompressesIsRead(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte("compressible "), 2000)
	for _, agreed := range []string{"permessage-deflate", "permessage-deflate; client_max_window_bits=15",
		"permessage-deflate; client_max_window_bits; server_max_window_bits=15", "permessage-deflate; client_no_context_takeover"} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := websocket.Accept(&agreeing{w, agreed}, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover, CompressionThreshold: 1})
			if err != nil {
				t.Error(err)
				return
			}
			for range 3 {
				_, b, err := c.Read(r.Context())
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(r.Context(), websocket.MessageBinary, b)
			}
		}))
		defer srv.Close()
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := Upgrade(t.Context(), conn, "edge.example", "/", nil)
		if err != nil {
			t.Errorf("%s: %v", agreed, err)
			continue
		}
		for range 3 {
			if err := s.WriteMessage(long); err != nil {
				t.Fatal(err)
			}
			r, err := s.NextMessage()
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || !bytes.Equal(b, long) {
				t.Errorf("%s: got %d bytes, %v, want %d", agreed, len(b), err, len(long))
			}
		}
		s.Close()
	}
}

// agreeing says of the compression what an edge may.
type agreeing struct {
	http.ResponseWriter
	says string
}

func (a *agreeing) WriteHeader(status int) {
	if strings.Contains(a.Header().Get("Sec-WebSocket-Extensions"), "deflate") {
		a.Header().Set("Sec-WebSocket-Extensions", a.says)
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *agreeing) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Whoever agrees to what was not offered is refused, in words.
func TestAnEdgeThatAgreesToSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Sec-WebSocket-Extensions", "bbf-usp-protocol")
		websocket.Accept(w, r, nil)
	}))
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Upgrade(t.Context(), conn, "edge.example", "/", nil); err == nil || !strings.Contains(err.Error(), "extensions") {
		t.Errorf("got %v, want what is wrong", err)
	}
}
