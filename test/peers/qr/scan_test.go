// Package qr holds no code: a scanner that is not ours reads the QR codes of
// internal/term in its tests.
package qr

import (
	"bytes"
	"image"
	"image/color"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"
	zxing "github.com/makiuchi-d/gozxing/qrcode"
	qrcode "rsc.io/qr"

	"culvert/internal/link"
	"culvert/internal/seal"
	"culvert/internal/term"
)

// photo is what a phone sees of art on a screen, 8 pixels a module. Ink is the
// colour of the blocks, paper that of everything else.
func photo(t *testing.T, art string, ink, paper color.Gray) image.Image {
	t.Helper()
	const scale = 8
	lines := strings.Split(strings.TrimSuffix(art, "\n"), "\n")
	img := image.NewGray(image.Rect(0, 0, utf8.RuneCountInString(lines[0])*scale, len(lines)*2*scale))
	for y, line := range lines {
		for x, r := range []rune(line) {
			for i := range 2 * scale * scale {
				upper := i < scale*scale
				c := paper
				if r == '█' || r == '▀' && upper || r == '▄' && !upper {
					c = ink
				}
				img.SetGray(x*scale+i%scale, y*2*scale+i/scale, c)
			}
		}
	}
	return img
}

// scan reads a QR code with a scanner that is not ours. It finds about one code
// in fifty only when told that there is nothing else in the picture; a phone
// takes picture after picture.
func scan(t *testing.T, img image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	for _, alone := range []bool{false, true} {
		hints := map[gozxing.DecodeHintType]any{}
		if alone {
			hints[gozxing.DecodeHintType_PURE_BARCODE] = true
		}
		var result *gozxing.Result
		if result, err = zxing.NewQRCodeReader().Decode(bitmap, hints); err == nil {
			return result.GetText()
		}
	}
	t.Errorf("scan: %v", err)
	return ""
}

var black, white = color.Gray{}, color.Gray{Y: 255}

// testLink is a link with one short front.
func testLink(t *testing.T) *link.Link {
	t.Helper()
	front, err := link.ParseFront("wss://edge.example/")
	if err != nil {
		t.Fatal(err)
	}
	return &link.Link{Keys: seal.NewMaster().Client(5), Fronts: []link.Front{front}}
}

func qrTexts(t *testing.T) []string {
	t.Helper()
	const forTheApp = "https://wa.me/proxy?host=192.168.1.7&chatPort=5222&mediaPort=7777&chatTLS=false"
	return []string{testLink(t).QR(), testLink(t).String(), forTheApp, "1"}
}

// Margins of a code on a terminal that has room, and on a narrow one.
const (
	wideMargin   = 4
	narrowMargin = 2
)

func TestAScannerReadsThePlainArtOnADarkTerminal(t *testing.T) {
	t.Parallel()
	for _, text := range qrTexts(t) {
		for _, width := range []int{0, qrSize(t, text) + 2*wideMargin, qrSize(t, text) + 2*narrowMargin} {
			var b bytes.Buffer
			if err := term.QR(&b, text, width, false); err != nil {
				t.Fatal(err)
			}
			if got := scan(t, photo(t, b.String(), white, black)); got != text {
				t.Errorf("width %d: got %q, want %q", width, got, text)
			}
		}
	}
}

func TestAScannerReadsTheColouredArt(t *testing.T) {
	t.Parallel()
	for _, text := range qrTexts(t) {
		var coloured bytes.Buffer
		if err := term.QR(&coloured, text, 0, true); err != nil {
			t.Fatal(err)
		}
		var bare strings.Builder // of its colours, which each line sets and ends
		for line := range strings.Lines(coloured.String()) {
			inner, ok := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
			inner, ended := strings.CutSuffix(inner, "\x1b[0m\n")
			if !ok || !ended {
				t.Fatalf("got line %q, want colours set and ended", line)
			}
			bare.WriteString(inner + "\n")
		}
		if got := scan(t, photo(t, bare.String(), black, white)); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func qrSize(t *testing.T, text string) int {
	t.Helper()
	code, err := qrcode.Encode(text, qrcode.L)
	if err != nil {
		t.Fatal(err)
	}
	return code.Size
}
