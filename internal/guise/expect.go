package guise

import "bytes"

// expectations blots out what the requests of one connection expect, however their bytes come: net/http refuses
// with 417 what it does not know, which nginx ignores. Nobody here waits to be told to go on (100-continue).
type expectations struct {
	line   [32]byte // how the line begins, in small letters
	length int
	lines  int  // of this head
	isBody bool // a body comes, behind which no request is served to a stranger
}

// blot changes a letter of each such header's name, in the next bytes of the connection.
func (e *expectations) blot(b []byte) {
	for i, c := range b {
		switch {
		case e.isBody:
			return
		case c == '\n':
			e.endLine()
		case c != '\r' && e.length < len(e.line):
			e.line[e.length] = c | ' '
			e.length++
			if e.lines > 0 && string(e.line[:e.length]) == "expect" {
				b[i] = 'x'
			}
		}
	}
}

func (e *expectations) endLine() {
	line := e.line[:e.length]
	e.length = 0
	if len(line) == 0 {
		e.lines = 0 // another request comes next
		return
	}
	e.lines++
	size, isLength := bytes.CutPrefix(line, []byte("content-length:"))
	e.isBody = isLength && len(bytes.Trim(size, " 0")) > 0 || bytes.HasPrefix(line, []byte("transfer-encoding:"))
}
