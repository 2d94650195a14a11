package link

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// maxLetter bounds a text in which a link is looked for, in bytes: a letter with a link in it.
const maxLetter = 64 << 10

// ErrNone is Find's for a text without the beginning of a link: more text may bring one.
var ErrNone = fmt.Errorf("there is no link here: one starts with %s and is one line", Scheme)

var errLetter = errors.New("this is too long for a letter with a link in it: copy the link alone")

// Find reads the first whole link in a text as people and programs hand it on: with words
// before and behind, in quotes or brackets, broken into lines, quoted by a mail program,
// marked by a messenger, with characters that nobody sees, percent-coded, or as culvert://.
// The link's length and checksum say whether what is left is it, so nothing else is read for
// one. Errors are Parse's for the last that begins in text, or ErrNone; they quote nothing.
func Find(text string) (*Link, error) {
	if len(text) > maxLetter {
		return nil, errLetter
	}
	text = plain(text)
	why := ErrNone
	for at := begin(text); at >= 0; at = begin(text) {
		text = text[at+len(Scheme):]
		l, err := readLetters(strings.TrimLeft(text, "/"))
		if err == nil {
			return l, nil
		}
		why = err
	}
	if why == ErrNone {
		if l, err := readLetters(text); err == nil {
			return l, nil // a messenger made a link of what stands before the colon, and it was not copied
		}
	}
	return nil, why
}

// begin is where the next link begins in text, or -1.
func begin(text string) int {
	for i := range len(text) - len(Scheme) + 1 {
		if strings.EqualFold(text[i:i+len(Scheme)], Scheme) {
			return i
		}
	}
	return -1
}

// readLetters reads a link whose body begins text.
func readLetters(text string) (*Link, error) {
	link := []byte(Scheme)
	for _, c := range text {
		switch {
		case isFiller(c):
			continue
		case !isLetter(c):
			return nil, errChar
		}
		link = append(link, byte(c))
		if l, err := Parse(string(link)); !errors.Is(err, ErrCut) {
			return l, err
		}
	}
	return Parse(string(link))
}

// isLetter reports whether c may stand in a link's body.
func isLetter(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '2' <= c && c <= '7'
}

// isFiller reports whether c may have come into a link on its way: where it was broken into
// lines, or marked.
func isFiller(c rune) bool { return unicode.IsSpace(c) || strings.ContainsRune(">|=*_~`\\-\u2010", c) }

// plain is text without what nobody sees, its characters as they were before somebody coded
// them for an address or a keyboard made others of them.
func plain(text string) string {
	for range 2 { // some code what is coded
		text = uncoded(text)
	}
	return strings.Map(func(c rune) rune {
		switch {
		case unicode.In(c, unicode.Cf, unicode.Variation_Selector) || unicode.IsControl(c) && !unicode.IsSpace(c):
			return -1
		case '\uff01' <= c && c <= '\uff5e': // fullwidth forms of '!' to '~'
			return c - '\uff01' + '!'
		case '\u0660' <= c && c <= '\u0669': // Arabic digits
			return c - '\u0660' + '0'
		case '\u06f0' <= c && c <= '\u06f9': // Persian digits
			return c - '\u06f0' + '0'
		}
		return c
	}, text)
}

// uncoded is text with its percent-codes undone; other per cent signs stay.
func uncoded(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+2 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(code))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
