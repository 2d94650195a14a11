package standin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"culvert/test/app"
	"culvert/test/standin"
	"culvert/test/standin/standintest"
)

func TestTheStandInDropsWhoIsNoClient(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	hello := standin.FirstFlight
	for name, in := range map[string]string{
		"old prologue":       "WA\x04\x00" + hello[4:],
		"HTTP":               "GET / HTTP/1.1\r\n\r\n",
		"large routing":      "ED\x00\x01\x00\x04\x01",
		"other routing":      "ED\x00\x02\x00\x00\x00" + hello,
		"large hello":        "WA\x06\x03\x00\x10\x01",
		"hello without key":  "WA\x06\x03\x00\x00\x02\x12\x00",
		"hello of zero key":  "WA\x06\x03\x00\x00\x24\x12\x22\x0a\x20" + strings.Repeat("\x00", 32),
		"garbage after":      hello + "\x00\x00\x01x",
		"finish not sealed":  hello + "\x00\x00\x4a\x22\x48\x0a\x30" + strings.Repeat("x", 48) + "\x12\x14" + strings.Repeat("x", 20),
		"large finish frame": hello + "\xff\xff\xff",
	} {
		conn := standintest.Dial(t, s.Chat)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, in)
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: got %v, want the connection closed", name, err)
		}
	}
}

func mediaClient(t testing.TB, s standintest.Served, http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.CAs()},
		Protocols:       protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Media)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestMediaGoesDownAndUpExactly(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	for _, http2 := range []bool{false, true} {
		client := mediaClient(t, s, http2)
		for _, n := range []int64{0, 1, 65_537, 3_000_000} {
			resp, err := client.Get(fmt.Sprintf("https://mmg.whatsapp.net/media/%d", n))
			if err != nil {
				t.Fatal(err)
			}
			if err := standin.CheckPattern(resp.Body, n); err != nil || resp.ContentLength != n {
				t.Errorf("download of %d: got length %d and %v, want the pattern", n, resp.ContentLength, err)
			}
			resp.Body.Close()

			resp, err = client.Post("https://mmg.whatsapp.net/up", "", standin.Pattern(n))
			if err != nil {
				t.Fatal(err)
			}
			var got standin.Uploaded
			err = json.NewDecoder(resp.Body).Decode(&got)
			resp.Body.Close()
			if want := (standin.Uploaded{n, patternSum(n)}); err != nil || got != want {
				t.Errorf("upload of %d: got %v and %v, want %v", n, got, err, want)
			}
		}
	}
}

func patternSum(n int64) string {
	h := sha256.New()
	io.Copy(h, standin.Pattern(n))
	return hex.EncodeToString(h.Sum(nil))
}

func TestMediaRefusesOtherRequests(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	client := mediaClient(t, s, false)
	for path, want := range map[string]int{"/media/-1": 404, "/media/x": 404, "/media/1073741825": 404, "/media/99999999999999999999": 404, "/": 405} {
		resp, err := client.Get("https://whatsapp.net" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("GET %s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestAChangedPatternIsNoticed(t *testing.T) {
	t.Parallel()
	whole, _ := io.ReadAll(standin.Pattern(100_000))
	flipped := bytes.Clone(whole)
	flipped[77_777] ^= 1
	for name, b := range map[string][]byte{
		"short": whole[:99_999], "long": append(bytes.Clone(whole), 0), "flipped": flipped, "empty": nil, "shifted": append([]byte{0}, whole[:99_999]...),
	} {
		if err := standin.CheckPattern(bytes.NewReader(b), 100_000); !errors.Is(err, standin.ErrPattern) {
			t.Errorf("%s: got %v, want ErrPattern", name, err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(whole[:10]), brokenReader{})
	if err := standin.CheckPattern(broken, 100_000); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("broken: got %v, want the reader's error", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCloseEndsConnectionsAndLaterListeners(t *testing.T) {
	t.Parallel()
	s, err := standin.New()
	if err != nil {
		t.Fatal(err)
	}
	l := standintest.Loopback(t)
	ended := make(chan error, 1)
	go func() { ended <- s.ServeChat(l) }()
	conn := standintest.Dial(t, l.Addr().String())
	io.WriteString(conn, standin.FirstFlight)
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("got a connection that lives on, want it closed")
	}
	if err := s.ServeChat(standintest.Loopback(t)); err != nil {
		t.Errorf("chat after Close: got %v, want nil", err)
	}
	if err := s.ServeMedia(standintest.Loopback(t)); err != nil {
		t.Errorf("media after Close: got %v, want nil", err)
	}
}

func TestConnectionsBeyondTheCapAreClosed(t *testing.T) {
	t.Parallel()
	l := standintest.Loopback(t)
	c := standin.NewCapped(l, 1)
	first, second := standintest.Dial(t, l.Addr().String()), standintest.Dial(t, l.Addr().String())
	served, err := c.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan net.Conn, 1)
	go func() { conn, _ := c.Accept(); next <- conn }()
	second.Read(make([]byte, 1)) // ends when the cap closes it
	served.Close()
	served.Close()
	standintest.Dial(t, l.Addr().String())
	if conn := <-next; conn == nil {
		t.Error("got no connection after one was closed, want the third")
	} else {
		conn.Close()
	}
	first.Close()
}

// webSocket opens one as WhatsApp Web does. ctx is for what is done with it.
func webSocket(t *testing.T, s standintest.Served) (_ *websocket.Conn, ctx context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	socket, _, err := websocket.Dial(ctx, "wss://web.whatsapp.com/ws/chat", &websocket.DialOptions{HTTPClient: mediaClient(t, s, false)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.CloseNow() })
	return socket, ctx
}

// Close ends a page's WebSocket, whose connection is the server's no more.
func TestCloseEndsWhatAPageHolds(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t) // which closes it in the end, and waits
	socket, ctx := webSocket(t, s)
	socket.Write(ctx, websocket.MessageText, []byte("message 0"))
	if _, b, err := socket.Read(ctx); err != nil || string(b) != "message 0" {
		t.Fatalf("got %q, %v, want what was said", b, err)
	}
	s.Close()
	if _, _, err := socket.Read(ctx); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, want an end", err)
	}
}

// A program that speaks as WhatsApp Web does has its chat by a WebSocket.
func TestAWebSocketOfBytesIsAChat(t *testing.T) {
	t.Parallel()
	s := standintest.Serve(t)
	socket, ctx := webSocket(t, s)
	if trips, err := app.Exchange(ctx, websocket.NetConn(ctx, socket, websocket.MessageBinary), s.Root(), 3); err != nil || len(trips) != 3 {
		t.Errorf("got %d answers, %v, want 3", len(trips), err)
	}
}
