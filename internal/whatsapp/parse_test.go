package whatsapp

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

func TestMessagesOfAnotherShapeAreRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"key cut":             "\x80",
		"field 0":             "\x02\x00",
		"field too large":     "\x82\x80\x80\x80\x80\x01\x00",
		"long spelling":       "\x8a\x00\x00",
		"varint of 11 bytes":  "\x08" + strings.Repeat("\x80", 10) + "\x01",
		"varint overflow":     "\x08" + strings.Repeat("\xff", 9) + "\x7f",
		"length past the end": "\x0a\x02x",
		"length overflow":     "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
		"64 bits cut":         "\x091234567",
		"32 bits cut":         "\x0d123",
		"group":               "\x0b\x0c",
		"type 6":              "\x0e",
		"field twice":         "\x0a\x00\x0a\x00",
	} {
		if _, err := parseMessage([]byte(in)); !errors.Is(err, errProto) {
			t.Errorf("%s: got %v, want errProto", name, err)
		}
	}
}

func TestFieldsThatNobodyAsksForAreSkipped(t *testing.T) {
	t.Parallel()
	m, err := parseMessage([]byte("\x0a\x01x" + "\x32\x01y\x32\x01z" + "\x39abcdefgh" + "\x45abcd" + "\xf8\x7f\x05" + "\x10\x07"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := m.bytes(1, 1); err != nil || string(b) != "x" {
		t.Errorf("field 1: got %q and %v, want x", b, err)
	}
	if n, err := m.number(2); err != nil || n != 7 {
		t.Errorf("field 2: got %d and %v, want 7", n, err)
	}
	if n, err := m.number(4); err != nil || n != 0 {
		t.Errorf("missing number: got %d and %v, want 0", n, err)
	}
	for name, ask := range map[string]func() error{
		"missing bytes":   func() error { _, err := m.bytes(3, 0); return err },
		"wrong size":      func() error { _, err := m.bytes(1, 2); return err },
		"number as bytes": func() error { _, err := m.bytes(2, 0); return err },
		"bytes as number": func() error { _, err := m.number(1); return err },
	} {
		if err := ask(); !errors.Is(err, errProto) {
			t.Errorf("%s: got %v, want errProto", name, err)
		}
	}
}

func TestFramesOfASizeNotExpectedAreRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]error{
		"": io.EOF, "\x00\x00": io.ErrUnexpectedEOF, "\x00\x00\x01": io.ErrUnexpectedEOF, "\x00\x00\x05abcd": io.ErrUnexpectedEOF,
		"\x00\x00\x00": errFrameSize, "\x00\x00\x09": errFrameSize, "\xff\xff\xff": errFrameSize,
	} {
		if _, err := readFrame(strings.NewReader(in), 8); err != want {
			t.Errorf("%x: got %v, want %v", in, err, want)
		}
	}
}

// What is read as fields, written again, is the same: a message has one spelling.
func FuzzFields(f *testing.F) {
	payload, _ := chain2025(f)
	f.Add(payload)
	f.Add(hello2025(f))
	f.Add([]byte("\x09abcdefgh\x15abcd\x18\x96\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out []byte
		for rest := in; len(rest) > 0; {
			num, field, n, err := nextField(rest)
			if err != nil {
				return
			}
			out = appendField(out, num, field)
			rest = rest[n:]
		}
		if !bytes.Equal(out, in) {
			t.Errorf("wrote %x, want %x", out, in)
		}
		parseMessage(in)
		parseCertificate(in)
		parseServerHello(in)
	})
}

func appendField(b []byte, num protowire.Number, f protoField) []byte {
	b = protowire.AppendTag(b, num, f.typ)
	switch f.typ {
	case protowire.VarintType:
		return protowire.AppendVarint(b, f.value)
	case protowire.BytesType:
		return protowire.AppendBytes(b, f.data)
	}
	return append(b, f.data...)
}

// No bytes but the recorded chain's are certified by WhatsApp's root for its key.
func FuzzChain(f *testing.F) {
	payload, static := chain2025(f)
	f.Add(payload)
	f.Add(payload[:len(payload)-1])
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := verifyChain(in, pinnedRoot, static)
		switch {
		case err == nil && !sameChain(in, payload):
			t.Errorf("got %x verified, want it refused", in)
		case err != nil && !errors.Is(err, ErrNotWhatsApp) && !errors.Is(err, ErrSignature):
			t.Errorf("got %v, want ErrNotWhatsApp or ErrSignature", err)
		}
	})
}

// sameChain reports whether both hold the same certificates; fields in another
// order, or ones that nobody asks for, do not matter.
func sameChain(a, b []byte) bool {
	leaf, _, inter, _, err := parseChain(a)
	leaf2, _, inter2, _, err2 := parseChain(b)
	return err == nil && err2 == nil && bytes.Equal(leaf, leaf2) && bytes.Equal(inter, inter2)
}

func FuzzServerHello(f *testing.F) {
	f.Add(hello2025(f))
	f.Add([]byte("\x1a\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := proverOf(t, unhex(t, key2025), prologue).serverHello(in)
		if err != nil && !errors.Is(err, ErrNotWhatsApp) && !errors.Is(err, ErrSignature) {
			t.Errorf("got %v, want ErrNotWhatsApp or ErrSignature", err)
		}
	})
}

// What is read as a frame, written again, is what was read.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("\x00\x00\x03abc"))
	f.Add([]byte("\x00\x10\x01"))
	f.Fuzz(func(t *testing.T, in []byte) {
		frame, err := readFrame(bytes.NewReader(in), maxHello)
		if err != nil {
			return
		}
		if len(frame) == 0 || len(frame) > maxHello {
			t.Errorf("got a frame of %d bytes, want 1 to %d", len(frame), maxHello)
		}
		if out := appendFrame(nil, frame); !bytes.HasPrefix(in, out) {
			t.Errorf("wrote %x, want the start of %x", out, in)
		}
	})
}
