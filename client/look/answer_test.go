package look

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// askPage asks a server for a page, which answers by serve, and reads the body.
func askPage(ctx context.Context, t *testing.T, protocol string, serve func(net.Conn)) ([]byte, error) {
	t.Helper()
	near, far := tcpPipe(t)
	go func() {
		defer far.Close()
		c := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate()}, NextProtos: []string{protocol}})
		if c.Handshake() == nil {
			c.Read(make([]byte, 1)) // the request begins
			serve(c)
			c.CloseWrite()
			io.Copy(io.Discard, c)
		}
	}()
	c, err := all()[0].Handshake(ctx, near, Config{Kind: Page, Name: "front.example", Verify: anybody})
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://front.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

func TestAnAnswerByHTTP1IsReadAsFarAsItMayGo(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 2*maxBody)
	for name, c := range map[string]struct {
		answer string
		length int
		err    error
	}{
		"whole":                   {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3, nil},
		"until the end":           {"HTTP/1.1 200 OK\r\n\r\nabc", 3, nil},
		"after others":            {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 3, nil},
		"cut":                     {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 3, io.ErrUnexpectedEOF},
		"too long":                {"HTTP/1.1 200 OK\r\n\r\n" + long, maxBody, io.ErrUnexpectedEOF},
		"too long after fields":   {"HTTP/1.1 200 OK\r\nX: " + long[:maxBody] + "\r\n\r\n" + long, -1, io.ErrUnexpectedEOF},
		"too long, and announced": {"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + long, maxBody, io.ErrUnexpectedEOF},
	} {
		b, err := askPage(t.Context(), t, "http/1.1", func(far net.Conn) { io.WriteString(far, c.answer) })
		if !errors.Is(err, c.err) || c.length >= 0 && len(b) != c.length {
			t.Errorf("%s: got %d bytes, %v, want %d, %v", name, len(b), err, c.length, c.err)
		}
	}
}

func TestABodyThatDoesNotComeEndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"http/1.1", "h2"} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := askPage(ctx, t, protocol, func(far net.Conn) {
			if protocol == "h2" {
				beginH2(far, 1)
			} else {
				io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
			}
			time.AfterFunc(10*time.Millisecond, cancel)
			io.Copy(io.Discard, far)
		})
		if err == nil {
			t.Errorf("%s: got no error, want one", protocol)
		}
	}
}

// beginH2 sends the settings and the head of an answer.
func beginH2(far net.Conn, stream uint32) *http2.Framer {
	f := http2.NewFramer(far, nil)
	f.AllowIllegalWrites = true
	f.WriteSettings()
	var block bytes.Buffer
	hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	return f
}

func TestAnAnswerByHTTP2IsOfTheOneRequestAndBounded(t *testing.T) {
	t.Parallel()
	part := make([]byte, maxFrame)
	for name, c := range map[string]struct {
		serve  func(net.Conn)
		length int // -1: there is an error, and whatever came counts for nothing
	}{
		"whole":           {func(far net.Conn) { beginH2(far, 1).WriteData(1, true, []byte("abc")) }, 3},
		"a large frame":   {func(far net.Conn) { beginH2(far, 1).WriteData(1, true, make([]byte, maxFrame+1)) }, -1},
		"another stream":  {func(far net.Conn) { beginH2(far, 3).WriteData(3, true, []byte("abc")) }, -1},
		"data of another": {func(far net.Conn) { beginH2(far, 1).WriteData(3, true, []byte("abc")) }, -1},
		"going away": {func(far net.Conn) {
			f := beginH2(far, 1)
			f.WriteGoAway(1, http2.ErrCodeNo, nil)
			f.WriteData(1, true, []byte("abc"))
		}, 3},
		"gone away": {func(far net.Conn) {
			f := beginH2(far, 1)
			f.WriteGoAway(0, http2.ErrCodeNo, nil)
			f.WriteData(1, true, []byte("abc"))
		}, -1},
		"too long": {func(far net.Conn) {
			f := beginH2(far, 1)
			for range maxBody/maxFrame + 1 {
				f.WriteData(1, false, part)
			}
		}, -1},
	} {
		b, err := askPage(t.Context(), t, "h2", c.serve)
		if len(b) > maxBody || (err != nil) != (c.length < 0) || c.length >= 0 && len(b) != c.length {
			t.Errorf("%s: got %d bytes, %v, want %d", name, len(b), err, c.length)
		}
	}
}
