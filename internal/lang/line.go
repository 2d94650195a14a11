package lang

import "strings"

// Marks of Unicode's bidirectional algorithm (UAX #9), which take no room: what stands between one of the first two
// and the last is laid out by itself, from right to left or from left to right.
const (
	fromRight = "\u2067"
	fromLeft  = "\u2066"
	atEnd     = "\u2069"
)

// Menus are the English names of WhatsApp's own menus, which stand in every language's texts. They belong in one line: two halves
// would each be laid out by themselves.
const Menus = "Settings, Storage and data, Proxy"

// Line is a line of text in l for a terminal, which knows nothing of l's direction: it is marked to be read from right to left
// if l is, and what is typed or read the other way within it, as --lan or 192.0.2.1:443, to stay as it is.
func (l Language) Line(text string) string {
	if l.Dir() != "rtl" || !strings.ContainsFunc(text, isForeign) {
		return text
	}
	var b strings.Builder
	b.WriteString(fromRight)
	for text != "" {
		begin := beginOfLatin(text)
		b.WriteString(text[:begin])
		text = text[begin:]
		run := latin(text)
		text = text[len(run):]
		if needsMarks(run) {
			run = fromLeft + run + atEnd
		}
		b.WriteString(run)
	}
	b.WriteString(atEnd)
	return b.String()
}

func isForeign(r rune) bool { return r >= 0x80 }

// latin is what stands at text's beginning and is read from left to right, without the marks behind it and without brackets,
// which belong to the text around it, and without what stands behind a colon, which is another part of the sentence.
func latin(text string) string {
	if end := strings.IndexFunc(text, func(r rune) bool { return isForeign(r) || r == '(' || r == ')' }); end >= 0 {
		text = text[:end]
	}
	for _, joint := range joints[:2] {
		text, _, _ = strings.Cut(text, joint)
	}
	return text[:max(len(strings.TrimRight(text, " .,:;!?\"")), min(1, len(text)))]
}

// beginOfLatin is where the first run of text begins. A mark before a space, as in ": open it", is of the text before it.
func beginOfLatin(text string) int {
	for i, r := range text {
		if startsLatin(r) && (!strings.ContainsRune(":,;.", r) || !strings.HasPrefix(text[i+1:], " ")) {
			return i
		}
	}
	return len(text)
}

// startsLatin reports whether r may be the first of a run that is read from left to right.
func startsLatin(r rune) bool { return '!' <= r && r <= '~' && r != '(' && r != ')' && r != '"' }

const (
	digits = "0123456789"
	words  = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// needsMarks reports whether a run would be torn apart without marks. Words stay in order by themselves, and so does a
// number; marks alone are of the text around them.
func needsMarks(run string) bool {
	return strings.ContainsAny(run, digits+words) && strings.Trim(run, words) != "" && strings.Trim(run, digits) != ""
}
