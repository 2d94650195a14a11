package term

import (
	"strings"
	"unicode"

	"culvert/internal/lang"
)

// Columns is how many columns of a terminal s takes: Chinese letters take two, marks above and below others none.
func Columns(s string) (n int) {
	for _, r := range s {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch {
	case r < 0x300: // nothing there is wide, or a mark
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case isWide(r):
		return 2
	}
	return 1
}

// isWide reports whether r is of a block whose letters are wide (Unicode's UAX #11): Hangul, Chinese with its
// punctuation and Kana, and full-width forms. A table of all letters would be 20 kB of a router's flash.
func isWide(r rune) bool {
	return 0x1100 <= r && r <= 0x115F || 0x2E80 <= r && r <= 0xA4CF && r != 0x303F || 0xAC00 <= r && r <= 0xD7A3 ||
		0xF900 <= r && r <= 0xFAFF || 0xFE30 <= r && r <= 0xFE6F || 0xFF00 <= r && r <= 0xFF60 || 0xFFE0 <= r && r <= 0xFFE6 ||
		0x20000 <= r && r <= 0x3FFFD
}

// noBreak is a space at which no line ends.
const noBreak = "\u00A0"

// wrapText is Wrap of a sentence for people, in which WhatsApp's menus stay together.
func wrapText(s string, columns int) []string {
	lines := Wrap(strings.ReplaceAll(s, lang.Menus, strings.ReplaceAll(lang.Menus, " ", noBreak)), columns)
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(l, noBreak, " ")
	}
	return lines
}

func endsWord(r rune) bool { return unicode.IsSpace(r) && r != '\u00A0' }

// Wrap breaks s between words into lines of at most so many columns, as far as its words allow that. Chinese, which
// has no spaces, is broken between any two letters but before a mark that ends something. There is one line at least.
// Bytes that are no UTF-8 become U+FFFD, which a terminal shows in one column: on lines of their own, pieces of letters
// could make others.
func Wrap(s string, columns int) (lines []string) {
	line := ""
	for _, word := range strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), endsWord) {
		if line != "" && Columns(line)+1+Columns(word) > columns && !mayBreak(word) {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for Columns(line) > columns && mayBreak(line) {
			cut := cutAt(line, columns)
			lines, line = append(lines, strings.TrimSpace(line[:cut])), strings.TrimSpace(line[cut:])
		}
	}
	return append(lines, line)
}

// mayBreak reports whether there are letters in s between which a line may end.
func mayBreak(s string) bool { return strings.ContainsFunc(s, isWide) }

// endMarks stand at no line's beginning.
const endMarks = "，。：；！？、）》”’"

// cutAt is where to end the first line of s, so that it has at most so many columns, or else as few as can be. There
// is a wide letter in s.
func cutAt(s string, columns int) (cut int) {
	n, before := 0, ' '
	for i, r := range s {
		breaks := i > 0 && (isWide(r) && !strings.ContainsRune(endMarks, r) || isWide(before) && !strings.ContainsRune(endMarks, r) || before == ' ' || r == ' ')
		if n > columns && cut > 0 {
			return cut
		}
		if breaks {
			cut = i
		}
		n, before = n+columnsOf(r), r
	}
	if n <= columns || cut == 0 {
		return len(s)
	}
	return cut
}
