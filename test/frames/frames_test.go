package frames

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestAnyHeaderIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{0, 125, 126, 1<<16 - 1, 1 << 16, 1 << 62} {
		for _, masked := range []bool{false, true} {
			want := Header{Fin: masked, Reserved: 5, Opcode: Binary, Masked: masked, Length: length}
			if masked {
				want.Mask = [4]byte{1, 2, 3, 4}
			}
			b := want.Append(nil)
			if got, err := ReadHeader(bytes.NewReader(b)); err != nil || got != want || len(b) > MaxHeader {
				t.Errorf("got %+v and %v, want %+v", got, err, want)
			}
			if _, err := ReadHeader(bytes.NewReader(b[:len(b)-1])); err == nil {
				t.Errorf("%d bytes of %d: got no error, want one", len(b)-1, len(b))
			}
		}
	}
	if _, err := ReadHeader(strings.NewReader("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00")); err != errLength {
		t.Errorf("got %v, want %v", err, errLength)
	}
}

// The examples of RFC 6455, section 5.7.
func TestFramesAreThoseOfTheRFC(t *testing.T) {
	t.Parallel()
	if got := Append(nil, Text, true, []byte("Hello")); string(got) != "\x81\x05Hello" {
		t.Errorf("got %x, want the RFC's", got)
	}
	if got := Masked(Text, true, []byte("Hello")); string(got) != "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" {
		t.Errorf("masked: got %x, want the RFC's", got)
	}
	h, payload, err := Read(strings.NewReader("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), 5)
	if err != nil || h.Opcode != Text || string(payload) != "Hello" {
		t.Errorf("got %+v, %q and %v, want Hello", h, payload, err)
	}
	if got := accept("dGhlIHNhbXBsZSBub25jZQ=="); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("got %s, want the RFC's", got)
	}
}

func TestALibraryUnderstandsEitherSide(t *testing.T) {
	t.Parallel()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/library" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			kind, b, _ := c.Read(r.Context())
			c.Write(r.Context(), kind, b)
			c.Close(4001, "bye")
			return
		}
		conn, in, err := Upgrade(w, r, "", time.Second)
		if err != nil {
			return
		}
		defer conn.Close()
		_, b, _ := Read(in, 100)
		conn.Write(Append(Append(nil, Text, true, b), Close, true, ClosePayload(4001, "bye")))
		io.Copy(io.Discard, in)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	c, _, err := websocket.Dial(t.Context(), "ws://"+l.Addr().String()+"/frames", nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Write(t.Context(), websocket.MessageText, []byte("a library asks"))
	if _, b, err := c.Read(t.Context()); string(b) != "a library asks" || err != nil {
		t.Errorf("got %q and %v, want the echo", b, err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4001 {
		t.Errorf("got %v, want a close with 4001", err)
	}

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in, err := Dial(conn, "example.org", "/library", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write(Masked(Text, true, []byte("a library answers")))
	if h, b, err := Read(in, 100); h.Opcode != Text || string(b) != "a library answers" || err != nil {
		t.Errorf("got %+v, %q and %v, want the echo", h, b, err)
	}
	h, b, err := Read(in, 100)
	if code, reason := ParseClose(b); h.Opcode != Close || code != 4001 || reason != "bye" || err != nil {
		t.Errorf("got %+v, %d %q and %v, want the close", h, code, reason, err)
	}
}
