// Package qr holds no code: a scanner that is not ours reads the QR codes of
// internal/term in its tests.
package qr

import (
	"bytes"
	"encoding/xml"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"regexp"
	"strconv"
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
			if err := term.QR(&b, text, term.Screen{Columns: width}, false, ""); err != nil {
				t.Fatal(err)
			}
			if got := scan(t, photo(t, b.String(), white, black)); got != text {
				t.Errorf("width %d: got %q, want %q", width, got, text)
			}
		}
	}
}

// painted is what a phone sees of coloured art: each cell begins with its colours, of which
// 16 is black and 231 white.
func painted(t *testing.T, art string) image.Image {
	t.Helper()
	const scale = 8
	lines := strings.Split(strings.TrimSuffix(art, "\x1b[0m\n"), "\x1b[0m\n")
	img := image.NewGray(image.Rect(0, 0, strings.Count(lines[0], "\x1b")*scale, len(lines)*2*scale))
	shade := map[bool]color.Gray{true: black, false: white}
	for y, line := range lines {
		for x, cell := range strings.Split(line, "\x1b[")[1:] {
			colours, letter, ok := strings.Cut(cell, "m")
			upper := shade[strings.HasSuffix(colours, "48;5;16")]
			lower := upper
			if letter == "▄" {
				lower = shade[strings.HasPrefix(colours, "38;5;16;")]
			}
			if !ok || letter != " " && letter != "▄" {
				t.Fatalf("got cell %q, want colours and a space or lower half", cell)
			}
			draw.Draw(img, image.Rect(x*scale, 2*y*scale, (x+1)*scale, (2*y+1)*scale), image.NewUniform(upper), image.Point{}, draw.Src)
			draw.Draw(img, image.Rect(x*scale, (2*y+1)*scale, (x+1)*scale, 2*(y+1)*scale), image.NewUniform(lower), image.Point{}, draw.Src)
		}
	}
	return img
}

func TestAScannerReadsTheColouredArt(t *testing.T) {
	t.Parallel()
	for _, text := range qrTexts(t) {
		var art bytes.Buffer
		if err := term.QR(&art, text, term.Screen{}, true, ""); err != nil {
			t.Fatal(err)
		}
		if got := scan(t, painted(t, art.String())); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestAScannerReadsThePicture(t *testing.T) {
	t.Parallel()
	for _, text := range qrTexts(t) {
		b, err := term.QRPicture("link.PNG", text)
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if got := scan(t, img); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

// dark is a module in the path of a picture in SVG.
var dark = regexp.MustCompile(`M(\d+) (\d+)h1v1h-1z`)

func TestAScannerReadsTheDrawing(t *testing.T) {
	t.Parallel()
	const scale = 8
	for _, text := range qrTexts(t) {
		b, err := term.QRPicture("link.svg", text)
		if err != nil {
			t.Fatal(err)
		}
		var size struct {
			Width int    `xml:"width,attr"`
			Box   string `xml:"viewBox,attr"`
		}
		if err := xml.Unmarshal(b, &size); err != nil || !strings.HasPrefix(size.Box, "0 0 ") {
			t.Fatalf("got %v and a view of %q, want a drawing", err, size.Box)
		}
		side := (qrSize(t, text) + 2*wideMargin) * scale
		img := image.NewGray(image.Rect(0, 0, side, side))
		draw.Draw(img, img.Rect, image.NewUniform(white), image.Point{}, draw.Src)
		for _, at := range dark.FindAllSubmatch(b, -1) {
			x, _ := strconv.Atoi(string(at[1]))
			y, _ := strconv.Atoi(string(at[2]))
			draw.Draw(img, image.Rect(x*scale, y*scale, (x+1)*scale, (y+1)*scale), image.NewUniform(black), image.Point{}, draw.Src)
		}
		if got := scan(t, img); got != text || size.Width != side {
			t.Errorf("got %q, %d wide, want %q", got, size.Width, text)
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
