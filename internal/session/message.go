package session

import (
	"encoding/binary"
	"slices"

	"culvert/internal/wire"
)

// Plain is a message that is no record. Its number stands where a record has its
// length, which is never so small.
type Plain byte

// The plain messages.
const (
	Record Plain = iota // none of them
	Challenge
	Join
	Agree
	Agreed
	Turn
	Unknown
	Fill // at the stream door
)

// fillHead is the length of a Fill's length.
const fillHead = 1

// MaxFill bounds the bytes that a Fill says follow it.
const MaxFill = 100

const (
	joinLen   = 28
	macLen    = 16
	helloLen  = 50
	agreeLen  = macLen + 32 + 48 + helloLen + 16 // two keys, one of them sealed, and a hello
	answerLen = 25
	agreedLen = 32 + answerLen + 16 // a key and an answer
)

var plainLen = [...]int{Challenge: 16, Join: joinLen, Agree: agreeLen, Agreed: agreedLen, Turn: 1, Unknown: 0, Fill: fillHead}

// Len is the length of what follows p's number, for a Fill that of its length alone; false if p is no plain message.
func (p Plain) Len() (int, bool) {
	if p == Record || int(p) >= len(plainLen) {
		return 0, false
	}
	return plainLen[p], true
}

// takes reports whether body is as long as p's is. What a Fill says follows it may be missing: it was read before.
func (p Plain) takes(body []byte) bool {
	n, ok := p.Len()
	return ok && (n == len(body) || p == Fill && len(body) > n && len(body) == n+FillLen(body))
}

// Next cuts the first plain message or record off what has come: a message of the stream
// door, or what follows the number in one of the gateway door, where Receive refuses a
// record. body aliases b. The error is ErrMessage.
func Next(b []byte) (p Plain, body, rest []byte, err error) {
	if len(b) < wire.RecordHead {
		return 0, nil, nil, ErrMessage
	}
	n, ok := int(binary.BigEndian.Uint16(b)), true
	if b = b[wire.RecordHead:]; n <= wire.RecordOverhead {
		p = Plain(n)
		if n, ok = p.Len(); p == Fill && len(b) >= n {
			n += FillLen(b)
		}
	}
	if !ok || n > len(b) || n > wire.MaxRecord-wire.RecordHead {
		return 0, nil, nil, ErrMessage
	}
	return p, b[:n], b[n:], nil
}

func appendPlain(b []byte, p Plain, body ...byte) []byte {
	return append(append(b, 0, byte(p)), body...)
}

// FillLen is how many bytes of nothing follow a Fill of which body is what Receive took.
func FillLen(body []byte) int { return int(body[0]) }

// AppendFill appends a Fill, and behind it n bytes, at most MaxFill.
func AppendFill(b []byte, n int) []byte {
	n = min(n, MaxFill)
	b = appendPlain(b, Fill, byte(n))
	return append(b, make([]byte, n)...)
}

// hello is the payload of a first Noise message.
type hello struct {
	e      [32]byte
	i      [16]byte
	how, j byte
}

func parseHello(b []byte) (hello, error) {
	if len(b) != helloLen || b[48] > 3 {
		return hello{}, ErrMessage
	}
	return hello{[32]byte(b), [16]byte(b[32:]), b[48], b[49]}, nil
}

func (h *hello) bytes() []byte  { return slices.Concat(h.e[:], h.i[:], []byte{h.how, h.j}) }
func (h *hello) cipher() Cipher { return Cipher(h.how & 1) }
func (h *hello) goesOn() bool   { return h.how&2 != 0 }

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
