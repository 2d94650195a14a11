package standin

import (
	"bufio"
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
)

// served is a stand-in that serves chat and media on this machine.
type served struct {
	*Server
	chat, media string
}

func serve(t testing.TB) served {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	chat, media := loopback(t), loopback(t)
	ended := make(chan error, 2)
	go func() { ended <- s.ServeChat(chat) }()
	go func() { ended <- s.ServeMedia(media) }()
	t.Cleanup(func() {
		s.Close()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("serve: got %v after Close, want nil", err)
			}
		}
	})
	return served{s, chat.Addr().String(), media.Addr().String()}
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dialTo(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// firstFlight opens a connection: a prologue, and a frame with a client's key.
const firstFlight = "WA\x06\x03\x00\x00\x24\x12\x22\x0a\x20" + "any 32 bytes are a public key ..."

func TestTheStandInDropsWhoIsNoClient(t *testing.T) {
	t.Parallel()
	s := serve(t)
	hello := firstFlight
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
		conn := dialTo(t, s.chat)
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(conn, in)
		if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, io.EOF) && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: got %v, want the connection closed", name, err)
		}
	}
}

func mediaClient(t testing.TB, s served, http2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.CAs()},
		Protocols:       protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.media)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestMediaGoesDownAndUpExactly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, http2 := range []bool{false, true} {
		client := mediaClient(t, s, http2)
		for _, n := range []int64{0, 1, 65_537, 3_000_000} {
			resp, err := client.Get(fmt.Sprintf("https://mmg.whatsapp.net/media/%d", n))
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckPattern(resp.Body, n); err != nil || resp.ContentLength != n {
				t.Errorf("download of %d: got length %d and %v, want the pattern", n, resp.ContentLength, err)
			}
			resp.Body.Close()

			resp, err = client.Post("https://mmg.whatsapp.net/up", "", Pattern(n))
			if err != nil {
				t.Fatal(err)
			}
			var got Uploaded
			err = json.NewDecoder(resp.Body).Decode(&got)
			resp.Body.Close()
			if want := (Uploaded{n, patternSum(n)}); err != nil || got != want {
				t.Errorf("upload of %d: got %v and %v, want %v", n, got, err, want)
			}
		}
	}
}

func patternSum(n int64) string {
	h := sha256.New()
	io.Copy(h, Pattern(n))
	return hex.EncodeToString(h.Sum(nil))
}

func TestMediaRefusesOtherRequests(t *testing.T) {
	t.Parallel()
	s := serve(t)
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
	whole, _ := io.ReadAll(Pattern(100_000))
	flipped := bytes.Clone(whole)
	flipped[77_777] ^= 1
	for name, b := range map[string][]byte{
		"short": whole[:99_999], "long": append(bytes.Clone(whole), 0), "flipped": flipped, "empty": nil, "shifted": append([]byte{0}, whole[:99_999]...),
	} {
		if err := CheckPattern(bytes.NewReader(b), 100_000); !errors.Is(err, ErrPattern) {
			t.Errorf("%s: got %v, want ErrPattern", name, err)
		}
	}
	broken := io.MultiReader(bytes.NewReader(whole[:10]), brokenReader{})
	if err := CheckPattern(broken, 100_000); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("broken: got %v, want the reader's error", err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestCloseEndsConnectionsAndLaterListeners(t *testing.T) {
	t.Parallel()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	l := loopback(t)
	ended := make(chan error, 1)
	go func() { ended <- s.ServeChat(l) }()
	conn := dialTo(t, l.Addr().String())
	io.WriteString(conn, firstFlight)
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
	if err := s.ServeChat(loopback(t)); err != nil {
		t.Errorf("chat after Close: got %v, want nil", err)
	}
	if err := s.ServeMedia(loopback(t)); err != nil {
		t.Errorf("media after Close: got %v, want nil", err)
	}
}

func TestConnectionsBeyondTheCapAreClosed(t *testing.T) {
	t.Parallel()
	l := loopback(t)
	c := &capped{l, make(chan struct{}, 1)}
	first, second := dialTo(t, l.Addr().String()), dialTo(t, l.Addr().String())
	served, err := c.Accept()
	if err != nil {
		t.Fatal(err)
	}
	next := make(chan net.Conn, 1)
	go func() { conn, _ := c.Accept(); next <- conn }()
	second.Read(make([]byte, 1)) // ends when the cap closes it
	served.Close()
	served.Close()
	dialTo(t, l.Addr().String())
	if conn := <-next; conn == nil {
		t.Error("got no connection after one was closed, want the third")
	} else {
		conn.Close()
	}
	first.Close()
}

// Nobody gets through the stand-in's handshake with bytes that do not depend on
// its answer.
func FuzzHandshake(f *testing.F) {
	s, err := New()
	if err != nil {
		f.Fatal(err)
	}
	hello := []byte(firstFlight)
	f.Add(hello)
	f.Add(append([]byte("ED\x00\x01\x00\x00\x04\x08\x01\x02\x03"), hello...))
	f.Add(append(bytes.Clone(hello), "\x00\x00\x4a\x22\x48\x0a\x30"+strings.Repeat("x", 48)+"\x12\x14"+strings.Repeat("x", 20)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if _, _, err := s.handshake(&out, bufio.NewReader(bytes.NewReader(in))); err == nil {
			t.Error("got a handshake done, want an error")
		}
		if out.Len() > maxHello {
			t.Errorf("got an answer of %d bytes, want at most %d", out.Len(), maxHello)
		}
	})
}
