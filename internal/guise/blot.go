package guise

import (
	"bytes"

	"golang.org/x/net/http/httpguts"
)

// blotter changes what net/http refuses by itself in the headers of one connection and nginx does not heed, however
// their bytes come: what a request expects, of which net/http knows 100-continue alone, for which nobody here waits;
// control characters in values; in the names of headers and hosts what no name has; and what is behind "#". What nginx
// refuses and net/http does not, or in other words, it spoils: a body whose length is said twice.
type blotter struct {
	line       [32]byte // how the line begins, in small letters; of a value, without the blanks and zeros before it
	length     int
	lines      int  // of this head
	isValue    bool // the line's name is over
	isFragment bool // the line is a request's, and its "#" has come
	head       head
	isBody     bool // a body has come, and behind that no request is served to a stranger
}

// head is what the lines so far say of what comes behind this head.
type head struct {
	hasLength, hasCoding bool // how long a body is, is said by Content-Length or by Transfer-Encoding
	isChunked            bool
	hasBody              bool
	isUpgrade            bool // what comes may be a WebSocket, or else another request
}

// blot changes the next bytes of the connection, up to the end of a head that asks for a WebSocket, and returns how many
// those are: whether the others are a request is known by the answer.
func (e *blotter) blot(b []byte) int {
	for i, c := range b {
		switch {
		case e.isBody:
			return len(b)
		case c == '\n':
			if isUpgrade := e.endLine(); isUpgrade {
				return i + 1
			}
			continue
		case c == '\r':
			if e.lines > 0 && e.length == 0 && e.head.isChunked && e.head.hasLength {
				b[i] = 'x' // a line that is no header
			}
			continue
		case e.lines > 0:
			b[i] = e.instead(c)
		case e.isFragment && c == '%': // nginx reads nothing of it
			b[i] = '_'
		}
		if e.add(c); e.lines > 0 && string(e.line[:e.length]) == "expect" {
			b[i] = 'x'
		}
	}
	return len(b)
}

// instead is what stands for c in a header.
func (e *blotter) instead(c byte) byte {
	switch {
	case e.isValue && isRefused(c):
		return '?'
	case !e.isValue && c == ':' && e.isSaidAgain():
		return ' ' // no name has one
	case c <= ' ' || c == 0x7f || c == '/': // nginx finds fault with it, too, or takes it as net/http does
		return c
	case !e.isValue && c != ':' && !httpguts.IsTokenRune(rune(c)),
		bytes.HasPrefix(e.line[:e.length], []byte("host:")) && !httpguts.ValidHostHeader(string(c)):
		return '_'
	}
	return c
}

// isRefused reports whether net/http refuses a value with such a byte, and nginx does not.
func isRefused(c byte) bool {
	return c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != 0 || c == 0x7f
}

// isSaidAgain reports whether the line says a second time how long the body is. With a coding that is not known nginx
// does not mind a length.
func (e *blotter) isSaidAgain() bool {
	switch string(e.line[:e.length]) {
	case "content-length":
		return e.head.hasLength || e.head.isChunked
	case "transfer-encoding":
		return e.head.hasCoding
	}
	return false
}

// add notes how the line goes on.
func (e *blotter) add(c byte) {
	isSilent := e.isValue && (c == ' ' || c == '\t' || c == '0')
	e.isValue = e.isValue || c == ':'
	e.isFragment = e.isFragment || e.lines == 0 && c == '#'
	if e.length < len(e.line) && !isSilent {
		e.line[e.length] = c | ' '
		e.length++
	}
}

// endLine reports whether a head has ended that asks for a WebSocket.
func (e *blotter) endLine() (isUpgrade bool) {
	line := e.line[:e.length]
	e.length, e.isValue, e.isFragment = 0, false, false
	if len(line) == 0 {
		e.isBody, isUpgrade = e.head.hasBody, e.head.isUpgrade && !e.head.hasBody
		e.lines, e.head = 0, head{} // another request comes next, or none
		return isUpgrade
	}
	if e.lines++; e.lines > 1 {
		e.head.note(line)
	}
	return false
}

func (h *head) note(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch string(name) {
	case "content-length":
		h.hasLength = true
		h.hasBody = h.hasBody || len(value) > 0
	case "transfer-encoding":
		h.hasCoding, h.hasBody = true, true
		h.isChunked = h.isChunked || string(value) == "chunked"
	case "upgrade":
		h.isUpgrade = true
	}
}
