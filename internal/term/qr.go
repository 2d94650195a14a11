package term

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	qrcode "rsc.io/qr"
)

// Margins of light modules around a QR code. ISO/IEC 18004 asks for 4; every
// scanner we know is content with 2 on a screen.
const (
	wideMargin   = 4
	narrowMargin = 2
)

// Screen is how much a terminal shows at once; 0 is for what has no end, as a file.
type Screen struct{ Columns, Lines int }

// QR draws text as a QR code of half blocks on w, if the whole of it fits screen. With
// colours the code is black on white, whatever the terminal's colours are. Without, the
// blocks are the light modules, as most terminals that such a text is looked at in are dark.
// A code that does not fit is replaced by a line that says so and, behind it, what else there is:
// one that is cut off or has lines that wrap cannot be scanned.
// The error is for text that no QR code holds, or w's.
func QR(w io.Writer, text string, screen Screen, colours bool, otherwise string) error {
	return (&Console{w: w, colour: colours}).drawQR(text, screen, otherwise)
}

// QR draws text as a QR code that fits the console, or says what else there is.
func (c *Console) QR(text, otherwise string) error { return c.drawQR(text, screen(c.w), otherwise) }

func (c *Console) drawQR(text string, has Screen, otherwise string) error {
	code, err := encodeQR(text)
	if err != nil {
		return err
	}
	margin := wideMargin
	if !has.holds(code, margin) {
		margin = narrowMargin
	}
	if !has.holds(code, margin) {
		need := screenOf(code, margin)
		said := c.Text("The QR code needs %d columns and %d lines, and the terminal has %d and %d: make it larger, or its letters smaller.",
			need.Columns, need.Lines, has.Columns, has.Lines)
		if otherwise != "" {
			said += " " + c.lang.Sentence(otherwise)
		}
		_, err = io.WriteString(c, c.lines("", said))
		return err
	}
	_, err = io.WriteString(c, draw(code, margin, c.colour))
	return err
}

// screenOf is what code and its margins need.
func screenOf(code *qrcode.Code, margin int) Screen {
	n := code.Size + 2*margin
	return Screen{Columns: n, Lines: (n + 1) / 2}
}

// holds reports whether all of code and its margins can be seen.
func (s Screen) holds(code *qrcode.Code, margin int) bool {
	need := screenOf(code, margin)
	return (s.Columns == 0 || need.Columns <= s.Columns) && (s.Lines == 0 || need.Lines <= s.Lines)
}

// The kinds of picture that QRPicture makes, by the end of a file's name.
const (
	pngEnd = ".png"
	svgEnd = ".svg"
)

// IsPicture reports whether QRPicture knows the kind of picture that a file's name ends in.
func IsPicture(name string) bool {
	end := strings.ToLower(filepath.Ext(name))
	return end == pngEnd || end == svgEnd
}

// QRPicture is text as the picture of a QR code, of the kind that the file's name ends in:
// .svg, or else .png.
func QRPicture(name, text string) ([]byte, error) {
	code, err := encodeQR(text)
	if err != nil {
		return nil, err
	}
	if strings.ToLower(filepath.Ext(name)) == svgEnd {
		return drawSVG(code), nil
	}
	return code.PNG(), nil
}

// drawSVG makes one path of all dark modules, so that no lines show between them.
func drawSVG(code *qrcode.Code) []byte {
	var b bytes.Buffer
	n := code.Size + 2*wideMargin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h%dv%dH0z"/><path d="`,
		n, n, n*code.Scale, n*code.Scale, n, n)
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				fmt.Fprintf(&b, "M%d %dh1v1h-1z", x+wideMargin, y+wideMargin)
			}
		}
	}
	b.WriteString("\"/></svg>\n")
	return b.Bytes()
}

// encodeQR makes the smallest code that holds text, with as much error
// correction as fits into that size.
func encodeQR(text string) (*qrcode.Code, error) {
	smallest, err := qrcode.Encode(text, qrcode.L)
	if err != nil {
		return nil, fmt.Errorf("make QR code: %w", err)
	}
	for _, level := range []qrcode.Level{qrcode.H, qrcode.Q, qrcode.M} {
		if code, err := qrcode.Encode(text, level); err == nil && code.Size == smallest.Size {
			return code, nil
		}
	}
	return smallest, nil
}

// draw makes two rows of modules a line of text.
func draw(code *qrcode.Code, margin int, colours bool) string {
	paint, end := plainCell, "\n"
	if colours {
		paint, end = colourCell, "\x1b[0m\n"
	}
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		for x := -margin; x < code.Size+margin; x++ {
			b.WriteString(paint(code.Black(x, y), code.Black(x, y+1)))
		}
		b.WriteString(end)
	}
	return b.String()
}

// plainCell is two modules, one above the other, of which light ones are blocks.
func plainCell(upper, lower bool) string {
	switch {
	case upper && lower:
		return " "
	case upper:
		return "▄"
	case lower:
		return "▀"
	}
	return "█"
}

// colourCell is two modules, one above the other, in pure black and white, colours 16 and 231,
// which no theme changes. Where both are alike it is a space of that background: a block
// is drawn as a letter, and most letters leave a line between them and the next, on which scanners
// trip.
func colourCell(upper, lower bool) string {
	switch {
	case upper && lower:
		return "\x1b[48;5;16m "
	case upper:
		return "\x1b[38;5;231;48;5;16m▄"
	case lower:
		return "\x1b[38;5;16;48;5;231m▄"
	}
	return "\x1b[48;5;231m "
}
