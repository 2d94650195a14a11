package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A front may say something before it switches protocols, and may not go on for ever.
func TestAnswersBeforeTheSwitchAreSkipped(t *testing.T) {
	t.Parallel()
	for said, ok := range map[int]bool{1: true, 5: true, 6: false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			for range said {
				w.WriteHeader(http.StatusEarlyHints)
			}
			w.Header().Del("Link")
			if s, err := Accept(w, r, nil); err == nil {
				s.WriteMessage([]byte("hi"))
				s.Close()
			}
		}))
		t.Cleanup(srv.Close)
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := Upgrade(t.Context(), c, "example.org", "/", nil)
		if (err == nil) != ok {
			t.Errorf("%d answers before: got %v, want a WebSocket: %v", said, err, ok)
		}
		if err != nil {
			continue
		}
		m, err := s.NextMessage()
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(m); string(b) != "hi" || err != nil {
			t.Errorf("%d answers before: got %q, %v, want what the peer said first", said, b, err)
		}
		s.Close()
	}
}

// What comes before the final answer is bounded in bytes.
func TestAnEndlessAnswerBeforeTheSwitchIsGivenUp(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	written := make(chan int)
	go func() {
		defer far.Close()
		far.Read(make([]byte, 4<<10))
		io.WriteString(far, "HTTP/1.1 103 Early Hints\r\n")
		line, n := []byte("Link: "+strings.Repeat("x", 1<<10)+"\r\n"), 0
		for {
			m, err := io.Copy(far, bytes.NewReader(line))
			if n += int(m); err != nil {
				break
			}
		}
		written <- n
	}()
	_, _, err := Upgrade(context.Background(), near, "example.org", "/", nil)
	if n := <-written; err == nil || n > maxAnswer+4<<10 {
		t.Errorf("got %v after %d bytes, want an error after %d", err, n, maxAnswer)
	}
}
