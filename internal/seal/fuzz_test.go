package seal

import (
	"bytes"
	"testing"
)

// No stranger's bytes are accepted, crash Accept or get another error.
func FuzzAccept(f *testing.F) {
	e := newEnds()
	open, _, _ := e.client.Open(tunnel, chat, []byte("WA"))
	f.Add(open)
	f.Add(open[:openHead])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := e.server.Accept(tunnel+1, 7, in); err != ErrHandshake {
			t.Errorf("got %v, want %v", err, ErrHandshake)
		}
	})
}

// What parseHello accepts, append writes back byte for byte.
func FuzzHello(f *testing.F) {
	ok, _ := hello{1_800_000_000, 7, chat, []byte("WA")}.append(nil)
	f.Add(ok)
	f.Add(ok[:helloFixed])
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := parseHello(in)
		if err != nil {
			return
		}
		if out, err := h.append(nil); err != nil || !bytes.Equal(out, in) {
			t.Errorf("wrote back %x and %v, want %x", out, err, in)
		}
	})
}
