package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// vectors are "name<TAB>hex" lines, one frame each; whoever writes another
// implementation checks it against them.
func vectors(t *testing.T, name string) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		if all[name], err = hex.DecodeString(digits); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return all
}

var headers = map[string]Header{
	"open":   {Kind: Open, Len: 3, Tunnel: 0x0102030405060708},
	"accept": {Kind: Accept, Len: 48, Tunnel: 0x0102030405060708, Window: 256 << 10},
	"data":   {Kind: Data, Len: Overhead + 2, Tunnel: 1, Seq: 7, Ack: 3, Window: 256 << 10},
	"fin":    {Kind: Fin, Len: Overhead, Tunnel: 1, Seq: 9, Ack: 3, Window: MaxWindow},
	"ack":    {Kind: Ack, Tunnel: 1, Ack: 1<<62 - 1, Window: 1},
	"attach": {Kind: Attach, Len: Overhead, Tunnel: 1, Seq: 3, Ack: 3, Window: 256 << 10},
	"reset":  {Kind: Reset, Tunnel: 1, Seq: uint64(Clock), Ack: 1_800_000_000},
	"ping":   {Kind: Ping, Seq: 1<<64 - 1},
	"pong":   {Kind: Pong, Seq: 1<<64 - 1},
	"drain":  {Kind: Drain},
}

func spell(h Header) []byte {
	b := make([]byte, HeaderLen+h.Len)
	Put(b, h)
	for i := range h.Len {
		b[HeaderLen+i] = byte(i)
	}
	return b
}

func TestFramesAreTheVectors(t *testing.T) {
	t.Parallel()
	want := vectors(t, "frames.txt")
	for name, h := range headers {
		if got := spell(h); !bytes.Equal(got, want[name]) {
			t.Errorf("%s: got %x, want %x", name, got, want[name])
		}
		if got, err := Parse(want[name]); err != nil || got != h {
			t.Errorf("%s: got %+v and %v, want %+v", name, got, err, h)
		}
	}
	if got := len(want); got != len(headers) {
		t.Errorf("got %d vectors, want %d", got, len(headers))
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	edit := func(name string, change func(*Header)) []byte {
		h := headers[name]
		change(&h)
		b := make([]byte, HeaderLen)
		Put(b, h)
		return b
	}
	spare := spell(headers["data"])
	spare[1] = 1
	for name, b := range map[string][]byte{
		"nothing":                   nil,
		"a header cut short":        spell(headers["ack"])[:HeaderLen-1],
		"a spare byte that is set":  spare,
		"kind 0":                    edit("ack", func(h *Header) { h.Kind = 0 }),
		"a kind after the last":     edit("drain", func(h *Header) { h.Kind = lastKind + 1 }),
		"kind 255":                  edit("ack", func(h *Header) { h.Kind = 255 }),
		"more than MaxFrame":        edit("data", func(h *Header) { h.Len = MaxFrame - HeaderLen + 1 }),
		"a window over MaxWindow":   edit("ack", func(h *Header) { h.Window = MaxWindow + 1 }),
		"a seq of 2^62":             edit("data", func(h *Header) { h.Seq = maxPos }),
		"an ack of 2^62":            edit("ack", func(h *Header) { h.Ack = maxPos }),
		"a Ping with an ack":        edit("ping", func(h *Header) { h.Ack = maxPos }),
		"an Ack without a tunnel":   edit("ack", func(h *Header) { h.Tunnel = 0 }),
		"a Data without a tunnel":   edit("data", func(h *Header) { h.Tunnel = 0 }),
		"a Ping for a tunnel":       edit("ping", func(h *Header) { h.Tunnel = 1 }),
		"a Pong for a tunnel":       edit("pong", func(h *Header) { h.Tunnel = 1 }),
		"a Drain for a tunnel":      edit("drain", func(h *Header) { h.Tunnel = 1 }),
		"an Open without payload":   edit("open", func(h *Header) { h.Len = 0 }),
		"an Open not at 0":          edit("open", func(h *Header) { h.Seq = 1 }),
		"an Accept without payload": edit("accept", func(h *Header) { h.Len = 0 }),
		"an Accept not at 0":        edit("accept", func(h *Header) { h.Seq = 1 }),
		"a Data of a tag alone":     edit("data", func(h *Header) { h.Len = Overhead }),
		"a Data without a tag":      edit("data", func(h *Header) { h.Len = 0 }),
		"a Fin with bytes":          edit("fin", func(h *Header) { h.Len = Overhead + 1 }),
		"a Fin without a tag":       edit("fin", func(h *Header) { h.Len = 0 }),
		"an Attach without a tag":   edit("attach", func(h *Header) { h.Len = 0 }),
		"an Attach with bytes":      edit("attach", func(h *Header) { h.Len = Overhead + 1 }),
		"an Ack with payload":       edit("ack", func(h *Header) { h.Len = 1 }),
		"a Reset with payload":      edit("reset", func(h *Header) { h.Len = 1 }),
		"a Reset without a reason":  edit("reset", func(h *Header) { h.Seq = 0 }),
		"a Ping with payload":       edit("ping", func(h *Header) { h.Len = 1 }),
		"a Drain with payload":      edit("drain", func(h *Header) { h.Len = 1 }),
	} {
		if h, err := Parse(b); err != ErrFrame || h != (Header{}) {
			t.Errorf("%s: got %+v and %v, want %v", name, h, err, ErrFrame)
		}
	}
}

func TestPutAckChangesNothingElse(t *testing.T) {
	t.Parallel()
	b := spell(headers["data"])
	PutAck(b, 99, 100)
	want := headers["data"]
	want.Ack, want.Window = 99, 100
	if !bytes.Equal(b, spell(want)) {
		t.Errorf("got %x, want %x", b, spell(want))
	}
}

func TestAReasonHasAText(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for r := Aborted; r <= Stale; r++ {
		if s := r.String(); s == "" || s == "reset" || seen[s] {
			t.Errorf("reason %d: got %q, want a text of its own", r, s)
		}
		seen[r.String()] = true
	}
	for _, r := range []Reason{0, Stale + 1, 1<<64 - 1} {
		if got := r.String(); got != "reset" {
			t.Errorf("reason %d: got %q, want %q", r, got, "reset")
		}
	}
}

// What Parse accepts, Put writes back byte for byte: a frame has one spelling.
func FuzzFrame(f *testing.F) {
	for _, h := range headers {
		f.Add(spell(h))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := Parse(in)
		if err != nil {
			return
		}
		out := make([]byte, HeaderLen)
		Put(out, h)
		if !bytes.Equal(out, in[:HeaderLen]) {
			t.Errorf("put back %x, want %x", out, in[:HeaderLen])
		}
		if h.Len > MaxFrame-HeaderLen {
			t.Errorf("got a payload of %d bytes, want at most %d", h.Len, MaxFrame-HeaderLen)
		}
	})
}
