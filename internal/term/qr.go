package term

import (
	"fmt"
	"io"
	"strings"

	qrcode "rsc.io/qr"
)

// Margins of light modules around a QR code. ISO/IEC 18004 asks for 4; every
// scanner we know is content with 2 on a screen.
const (
	wideMargin   = 4
	narrowMargin = 2
)

// QR draws text as a QR code of half blocks on w, at most width columns wide;
// 0 means any width. With colours the code is black on white, whatever the
// terminal's colours are. Without, the blocks are the light modules, as most
// terminals that such a text is looked at in are dark. A code that would be too
// wide is replaced by a line that says so: lines that wrap cannot be scanned.
// The error is for text that no QR code holds, or w's.
func QR(w io.Writer, text string, width int, colours bool) error {
	code, err := encodeQR(text)
	if err != nil {
		return err
	}
	margin := wideMargin
	if width > 0 && code.Size+2*margin > width {
		margin = narrowMargin
	}
	if need := code.Size + 2*margin; width > 0 && need > width {
		_, err = fmt.Fprintf(w, "The QR code needs %d columns and the terminal has %d: make it wider, or its letters smaller.\n", need, width)
		return err
	}
	_, err = io.WriteString(w, draw(code, margin, colours))
	return err
}

// QR draws text as a QR code that fits the console.
func (c *Console) QR(text string) error { return QR(c.w, text, columns(c.w), c.colour) }

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

// blackOnWhite has colours 16 and 231, pure black and white, which no theme
// changes.
const blackOnWhite = "\x1b[38;5;16;48;5;231m"

// draw makes two rows of modules a line of text. With colours dark modules are
// ink, the foreground; without, light ones are.
func draw(code *qrcode.Code, margin int, colours bool) string {
	before, after := "", "\n"
	if colours {
		before, after = blackOnWhite, "\x1b[0m\n"
	}
	halves := [2][2]string{{" ", "▄"}, {"▀", "█"}} // by ink above, ink below
	bit := func(x, y int) int {
		if code.Black(x, y) == colours {
			return 1
		}
		return 0
	}
	var b strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		b.WriteString(before)
		for x := -margin; x < code.Size+margin; x++ {
			b.WriteString(halves[bit(x, y)][bit(x, y+1)])
		}
		b.WriteString(after)
	}
	return b.String()
}
