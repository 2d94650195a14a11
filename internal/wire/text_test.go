package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

// Every length comes back, and TextLen and BytesLen say what it costs.
func TestTextOfAnyLengthComesBack(t *testing.T) {
	t.Parallel()
	for n := range 400 {
		b := randomBytes(n)
		text := AppendText([]byte("x"), b)[1:]
		if len(text) != TextLen(n) {
			t.Fatalf("%d bytes: got %d letters, want %d", n, len(text), TextLen(n))
		}
		got, err := AppendBytes([]byte("y"), text)
		if err != nil || !bytes.Equal(got[1:], b) {
			t.Fatalf("%d bytes: got %x, %v, want %x", n, got, err, b)
		}
	}
}

// API Gateway and JSON write our letters as they are, so the message stays as
// long as we made it.
func TestTextSurvivesJSON(t *testing.T) {
	t.Parallel()
	var all []byte
	for i := range 1 << 13 {
		all = append(all, byte(i>>5), byte(i))
	}
	text := string(AppendText(nil, all))
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		t.Fatal(err)
	}
	if want := len(text) + 3; out.Len() != want || !utf8.ValidString(text) {
		t.Errorf("got %d bytes of JSON, want %d", out.Len(), want)
	}
}

// What AppendBytes accepts, AppendText writes back letter for letter: bytes have one spelling.
func FuzzText(f *testing.F) {
	f.Add([]byte("hello"))
	f.Add(AppendText(nil, []byte("thirteen bytes and more")))
	f.Fuzz(func(t *testing.T, in []byte) {
		if b, err := AppendBytes(nil, in); err == nil {
			if out := AppendText(nil, b); !bytes.Equal(out, in) {
				t.Errorf("put back %q, want %q", out, in)
			}
		}
	})
}

func TestTextThatNobodyMade(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a letter that is none":      `!"!!!!`,
		"a pair beyond 13 bits":      "~~",
		"a letter beyond 6 bits":     "!!~",
		"a lone letter":              "!",
		"bits that mean nothing":     string(AppendText(nil, []byte("a"))[:1]) + "~",
		"not ASCII":                  "é!",
		"a line's end":               "!!\n!",
		"beyond 13 bits, in a block": strings.Repeat("!", 14) + "~~",
	} {
		if b, err := AppendBytes(nil, []byte(text)); err != ErrText {
			t.Errorf("%s: got %x, %v, want ErrText", name, b, err)
		}
	}
}

func TestUpAndDownComeBack(t *testing.T) {
	t.Parallel()
	token, ticket := strings.Repeat("T", TokenLen), strings.Repeat("K", TicketLen)
	for _, want := range []Up{{token, "", []byte("b")}, {token, ticket, []byte("b")}, {"", ticket, []byte("b")}} {
		got, err := ParseUp(append(AppendUp(nil, want.Token, want.Ticket), want.Body...))
		if err != nil || got.Token != want.Token || got.Ticket != want.Ticket || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
	for _, want := range []string{"", ticket} {
		got, body, err := ParseDown(append(AppendDown(nil, want), 'b'))
		if err != nil || got != want || string(body) != "b" {
			t.Errorf("got %q, %q, %v, want %q", got, body, err, want)
		}
	}
}

func TestMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	long := string(AppendUp(nil, "", "")) + strings.Repeat("!", MaxText)
	for _, text := range []string{"", "h", "m", "d", "t", "x", `{"message": "Internal server error"}`,
		"h" + strings.Repeat("-", textHead-1), "m" + strings.Repeat("-", TicketLen), long} {
		if u, err := ParseUp([]byte(text)); err != ErrText {
			t.Errorf("up %.20q: got %v, %v, want ErrText", text, u, err)
		}
		if _, _, err := ParseDown([]byte(text)); err != ErrText {
			t.Errorf("down %.20q: got %v, want ErrText", text, err)
		}
	}
}

// The largest body fits behind every beginning, with next to nothing to spare.
func TestTheLargestBodyFillsAHello(t *testing.T) {
	t.Parallel()
	hello := AppendUp(nil, strings.Repeat("T", TokenLen), "")
	for spare, want := range map[int]bool{0: true, 2: false} {
		text := AppendText(bytes.Clone(hello), randomBytes(MaxTextBody+spare))
		if _, err := ParseUp(text); (err == nil) != want {
			t.Errorf("%d bytes more: got %d letters and %v, want at most %d letters", spare, len(text), err, MaxText)
		}
	}
}

// The ratio is letters for a byte, as text and as JSON.
func BenchmarkText(b *testing.B) {
	in := randomBytes(MaxTextBody)
	for _, codec := range []struct {
		name   string
		encode func(dst, in []byte) []byte
		decode func(dst, text []byte) ([]byte, error)
	}{
		{"letters", AppendText, AppendBytes},
		{"base64", base64.StdEncoding.AppendEncode, base64.StdEncoding.AppendDecode},
	} {
		text := codec.encode(nil, in)
		asJSON, _ := json.Marshal(string(text))
		b.Run(codec.name+"/encode", func(b *testing.B) {
			dst := make([]byte, 0, len(text))
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				codec.encode(dst, in)
			}
			b.ReportMetric(float64(len(text))/float64(len(in)), "letters/byte")
			b.ReportMetric(float64(len(asJSON)-2)/float64(len(in)), "html-safe-json/byte")
		})
		b.Run(codec.name+"/decode", func(b *testing.B) {
			dst := make([]byte, 0, len(in)+16)
			b.SetBytes(int64(len(in)))
			for b.Loop() {
				codec.decode(dst, text)
			}
		})
	}
}

// A body that WholeParts allows costs as many frames as it is meant to.
func TestWholePartsFillFrames(t *testing.T) {
	t.Parallel()
	for n := range MaxTextBody + 1 {
		body := WholeParts(n)
		text := textHead + TextLen(body)
		if frames := (text + MaxTextPart - 1) / MaxTextPart; body > n || body > 0 && text > frames*MaxTextPart {
			t.Fatalf("got %d bytes of %d, in %d frames", body, n, frames)
		}
		if body > 0 && text+30 < (text+MaxTextPart-1)/MaxTextPart*MaxTextPart && text%MaxTextPart < MaxTextPart-200 {
			t.Fatalf("got %d bytes of %d, whose last frame is not full", body, n)
		}
	}
}
