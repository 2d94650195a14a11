package session

import (
	"encoding/binary"

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
)

const (
	macLen    = 16
	agreeLen  = macLen + 32 + 48 + 50 + 16 // two keys, one of them sealed, and a hello
	agreedLen = 32 + 25 + 16               // a key and an answer
)

var plainLen = [...]int{Challenge: 16, Join: 28, Agree: agreeLen, Agreed: agreedLen, Turn: 1, Unknown: 0}

// Len is the length of what follows p's number; false if p is no plain message.
func (p Plain) Len() (int, bool) {
	if p == Record || int(p) >= len(plainLen) {
		return 0, false
	}
	return plainLen[p], true
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
		n, ok = p.Len()
	}
	if !ok || n > len(b) || n > wire.MaxRecord-wire.RecordHead {
		return 0, nil, nil, ErrMessage
	}
	return p, b[:n], b[n:], nil
}

func appendPlain(b []byte, p Plain, body ...byte) []byte {
	return append(append(b, 0, byte(p)), body...)
}

// join is what a Join says.
type join struct {
	G [8]byte
	N uint32
	C [16]byte
}

// hello is the payload of a first Noise message.
type hello struct {
	E      [32]byte
	I      [16]byte
	How, J byte
}

// answer is the payload of a second Noise message.
type answer struct {
	B     [16]byte
	Owner [8]byte
	How   byte
}

func (j join) valid() bool   { return j.N > 0 }
func (h hello) valid() bool  { return h.How < 4 }
func (a answer) valid() bool { return a.How < 2 }

func (h hello) cipher() Cipher { return Cipher(h.How & 1) }
func (h hello) goesOn() bool   { return h.How&2 != 0 }

// marshal writes the fields of a join, hello or answer, one after the other.
func marshal(v any) []byte {
	b, err := binary.Append(nil, binary.BigEndian, v)
	return must(b, err)
}

// parse reads what marshal wrote. The error is ErrMessage.
func parse[T interface {
	join | hello | answer
	valid() bool
}](b []byte) (v T, err error) {
	if n, err := binary.Decode(b, binary.BigEndian, &v); err != nil || n != len(b) || !v.valid() {
		return v, ErrMessage
	}
	return v, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
