package standin

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

// Nobody gets through the stand-in's handshake with bytes that do not depend on
// its answer.
func FuzzHandshake(f *testing.F) {
	s, err := New()
	if err != nil {
		f.Fatal(err)
	}
	hello := []byte(FirstFlight)
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
