package wire

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

func TestServicesAreTheVectors(t *testing.T) {
	t.Parallel()
	for name, want := range vectors(t, "services.txt") {
		s := map[string]Service{
			"chat":           {Kind: Chat},
			"media":          {Kind: Media, Host: "mmg.whatsapp.net"},
			"media, no name": {Kind: Media},
			"web":            {Kind: Web, Host: "web.whatsapp.com"},
		}[name]
		if got := AppendService(nil, s); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
		got, rest, err := ParseService(append(bytes.Clone(want), "WA"...))
		if err != nil || got != s || string(rest) != "WA" {
			t.Errorf("%s: got %+v, %q and %v, want %+v and what follows", name, got, rest, err, s)
		}
	}
}

func TestParseServiceRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":             "",
		"a kind alone":        "\x01",
		"a name cut short":    "\x02\x05wa.m",
		"kind 0":              "\x00\x00",
		"a kind after Web":    "\x04\x00",
		"upper case":          "\x03\x05WA.me",
		"a trailing dot":      "\x03\x06wa.me.",
		"254 bytes of a name": "\x03\xfe" + strings.Repeat("a", 254),
	} {
		if s, rest, err := ParseService([]byte(in)); err != ErrService || s != (Service{}) || rest != nil {
			t.Errorf("%s: got %+v, %q and %v, want %v", name, s, rest, err, ErrService)
		}
	}
}

// What ParseService accepts, AppendService writes back byte for byte.
func FuzzService(f *testing.F) {
	f.Add([]byte("\x01\x00WA"))
	f.Add([]byte("\x02\x10mmg.whatsapp.net\x16\x03"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, rest, err := ParseService(in)
		if err != nil {
			return
		}
		if out := append(AppendService(nil, s), rest...); !bytes.Equal(out, in) {
			t.Errorf("put back %x, want %x", out, in)
		}
	})
}

func TestAHostNameIsOfPlainASCIIAndHasOneSpelling(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 63)
	for in, want := range map[string]string{
		"g.whatsapp.net": "g.whatsapp.net", "G.WhatsApp.Net.": "g.whatsapp.net", "xn--a-b.1": "xn--a-b.1", "1.2.3.4": "1.2.3.4",
		long: long, long + "." + long + "." + long + "." + long[:61]: long + "." + long + "." + long + "." + long[:61],
	} {
		if got, ok := HostName(in); got != want || !ok {
			t.Errorf("%q: got %q, %v; want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", ".", "a..b", ".a", "a..", "-a.b", "a.b-", "a_b", "a b", "[::1]", "a:1", "\u212aelvin.net", "ä.net",
		long + "a", long + "." + long + "." + long + "." + long} {
		if got, ok := HostName(in); ok {
			t.Errorf("%q: got %q, want no host name", in, got)
		}
	}
}

// vectors are lines of a name, a tab and hexadecimal digits; whoever writes another
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
