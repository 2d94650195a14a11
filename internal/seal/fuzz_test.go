package seal

import (
	"bytes"
	"testing"
)

// No stranger's bytes are accepted, crash Accept or get another error than
// that of their kind.
func FuzzAccept(f *testing.F) {
	e := newEnds()
	full, pending, _ := e.client.Open(tunnel, chat, []byte("WA"))
	opened, _ := e.server.Accept(tunnel, 7, full)
	pending.Finish(opened.Accept)
	resumed, _, _ := e.client.Open(tunnel, chat, []byte("WA"))
	for _, open := range [][]byte{full, resumed} {
		f.Add(open)
		f.Add(open[:resumedExtra])
		f.Add(append([]byte{openOnce}, open[1:]...))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := e.server.Accept(tunnel+1, 7, in)
		if stale := len(in) > 0 && in[0] == openResumed && err == ErrStale; err != ErrHandshake && !stale {
			t.Errorf("got %v, want %v or, for one that is resumed, %v", err, ErrHandshake, ErrStale)
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
