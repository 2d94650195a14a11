package guise

import (
	"bytes"

	"golang.org/x/net/http/httpguts"
)

// blotter changes what net/http refuses by itself in the headers of one connection and nginx does not heed, however
// their bytes come: what a request expects, of which net/http knows 100-continue alone, for which nobody here waits;
// control characters in values; and in the names of headers and hosts what no name has.
type blotter struct {
	line    [32]byte // how the line begins, in small letters; of a value, without the blanks and zeros before it
	length  int
	lines   int  // of this head
	isValue bool // the line's name is over
	isLast  bool // a body comes behind this head, or a WebSocket, and behind that no request is served to a stranger
	isBody  bool // it has come
}

// blot changes the next bytes of the connection.
func (e *blotter) blot(b []byte) {
	for i, c := range b {
		switch {
		case e.isBody:
			return
		case c == '\n':
			e.endLine()
			continue
		case c == '\r':
			continue
		case e.lines > 0:
			b[i] = e.instead(c)
		}
		if e.add(c); e.lines > 0 && string(e.line[:e.length]) == "expect" {
			b[i] = 'x'
		}
	}
}

// instead is what stands for c in a header.
func (e *blotter) instead(c byte) byte {
	switch {
	case e.isValue && isRefused(c):
		return '?'
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

// add notes how the line goes on.
func (e *blotter) add(c byte) {
	isSilent := e.isValue && (c == ' ' || c == '\t' || c == '0')
	e.isValue = e.isValue || c == ':'
	if e.length < len(e.line) && !isSilent {
		e.line[e.length] = c | ' '
		e.length++
	}
}

func (e *blotter) endLine() {
	line := e.line[:e.length]
	e.length, e.isValue = 0, false
	if len(line) == 0 {
		e.lines, e.isBody = 0, e.isLast // another request comes next, or none
		return
	}
	e.lines++
	size, isLength := bytes.CutPrefix(line, []byte("content-length:"))
	e.isLast = e.isLast || isLength && len(size) > 0 || bytes.HasPrefix(line, []byte("transfer-encoding:")) || bytes.HasPrefix(line, []byte("upgrade:"))
}
