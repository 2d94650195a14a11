package term_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	qrcode "rsc.io/qr"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
)

// testLink is a link with one short front.
func testLink(t *testing.T) *link.Link {
	t.Helper()
	front, err := link.ParseFront("wss://edge.example/")
	if err != nil {
		t.Fatal(err)
	}
	return &link.Link{Keys: seal.NewMaster().Client(5), Fronts: []link.Front{front}}
}

// narrowMargin is the margin of a code on a narrow terminal.
const narrowMargin = 2

func qrSize(t *testing.T, text string) int {
	t.Helper()
	code, err := qrcode.Encode(text, qrcode.L)
	if err != nil {
		t.Fatal(err)
	}
	return code.Size
}

func TestACodeThatDoesNotFitIsReplacedByAWordOnItsSize(t *testing.T) {
	t.Parallel()
	text := testLink(t).QR()
	n := qrSize(t, text) + 2*narrowMargin
	for _, screen := range []term.Screen{{Columns: n - 1}, {Lines: (n+1)/2 - 1}, {Columns: n - 1, Lines: 200}, {Columns: 200, Lines: 10}} {
		var b bytes.Buffer
		if err := term.QR(&b, text, screen, false, "Or else."); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("needs %d columns and %d lines, and the terminal has %d and %d:", n, (n+1)/2, screen.Columns, screen.Lines)
		said := strings.Join(strings.Fields(b.String()), " ")
		if strings.Contains(b.String(), "▄") || !strings.Contains(said, want) || !strings.HasSuffix(said, " Or else.") {
			t.Errorf("got %q, want a sentence with %q, and no code", said, want)
		}
	}
	var b bytes.Buffer
	if err := term.QR(&b, text, term.Screen{Columns: n, Lines: (n + 1) / 2}, false, ""); err != nil || strings.Count(b.String(), "\n") != (n+1)/2 {
		t.Errorf("got %v and %q, want a code of all the terminal's lines", err, b.String())
	}
}

// A block is a letter, and fonts leave lines between letters.
func TestAColouredCodeIsPaintedAndHasNoWholeBlocks(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := term.QR(&b, testLink(t).QR(), term.Screen{}, true, ""); err != nil || strings.ContainsAny(b.String(), "█▀") {
		t.Errorf("got %v and a code with letters that fill a cell", err)
	}
}

func TestATextThatNoCodeHoldsIsAnError(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := term.QR(&b, strings.Repeat("x", 3000), term.Screen{Columns: 0}, false, ""); err == nil || b.Len() > 0 {
		t.Errorf("got %v and %d bytes, want an error", err, b.Len())
	}
}

func TestAWriterThatFailsFailsTheCode(t *testing.T) {
	t.Parallel()
	for _, width := range []int{0, 1} {
		if err := term.QR(brokenPipe{}, "x", term.Screen{Columns: width}, false, ""); !errors.Is(err, errPipe) {
			t.Errorf("width %d: got %v, want %v", width, err, errPipe)
		}
	}
}

var errPipe = errors.New("broken pipe")

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

// The case for base32 in upper case, kept true: a link with one front of a CDN
// takes a code of 45 modules, and with base64url would take 49.
func TestALinksCodeIsSmall(t *testing.T) {
	t.Parallel()
	l := testLink(t)
	l.Fronts[0].Host = "d111111abcdef8.cloudfront.net"
	if got := qrSize(t, l.QR()); got > 45 {
		t.Errorf("got %d modules, want 45", got)
	}
	if upper, lower := qrSize(t, l.QR()), qrSize(t, l.String()); upper >= lower {
		t.Errorf("got %d modules, want fewer than the %d of lower case", upper, lower)
	}
}
