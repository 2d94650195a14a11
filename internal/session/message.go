package session

import (
	"encoding/binary"

	"culvert/internal/wire"
)

// Plain is a message that is no record. It stands in two bytes where a record has its
// length, which is never so small.
type Plain byte

// The plain messages and what follows their number.
const (
	Record    Plain = iota // none of them
	Challenge              // origin: o 16
	Join                   // client: g 8, n 4, c 16
	Agree                  // client: mac 16, first Noise message
	Agreed                 // origin: second Noise message
	Turn                   // both: j 1
	Unknown                // origin: nothing
)

const (
	plainHead  = 2
	macLen     = 16
	agreeLen   = macLen + 32 + 48 + 50 + 16 // two keys, one of them sealed, and a hello
	agreedLen  = 32 + 25 + 16               // a key and an answer
	joinLen    = 8 + 4 + 16
	leastCount = wire.RecordOverhead + 1 // the least length of a record
)

var plainLen = [...]int{Challenge: 16, Join: joinLen, Agree: agreeLen, Agreed: agreedLen, Turn: 1, Unknown: 0}

// Len is the length of what follows p's number; false if p is no plain message.
func (p Plain) Len() (int, bool) {
	if p == Record || int(p) >= len(plainLen) {
		return 0, false
	}
	return plainLen[p], true
}

func (p Plain) whole(body []byte) bool {
	n, ok := p.Len()
	return ok && n == len(body)
}

// Next cuts the first plain message or record off a message of the stream door. body
// aliases b. The error is ErrMessage.
func Next(b []byte) (p Plain, body, rest []byte, err error) {
	if len(b) < wire.RecordHead {
		return 0, nil, nil, ErrMessage
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < leastCount {
		return Cut(b)
	}
	if b = b[wire.RecordHead:]; n > len(b) || n > wire.MaxRecord-wire.RecordHead {
		return 0, nil, nil, ErrMessage
	}
	return Record, b[:n], b[n:], nil
}

// Cut cuts the plain message off that a body at the gateway door begins with, behind
// its number. The error is ErrMessage.
func Cut(b []byte) (p Plain, body, rest []byte, err error) {
	if len(b) < plainHead || b[0] != 0 {
		return 0, nil, nil, ErrMessage
	}
	p, b = Plain(b[1]), b[plainHead:]
	n, ok := p.Len()
	if !ok || n > len(b) {
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

func (j join) valid() bool { return j.N > 0 }

// hello is the payload of a first Noise message.
//
//	 0  E        32  random: what the early records' key comes from
//	32  I        16
//	48  how       1  bit 0: cipher; bit 1: goes on (the client has an R)
//	49  j         1
type hello struct {
	E   [32]byte
	I   [16]byte
	How byte
	J   byte
}

func (h hello) valid() bool    { return h.How < 4 }
func (h hello) cipher() Cipher { return Cipher(h.How & 1) }
func (h hello) goesOn() bool   { return h.How&2 != 0 }

// answer is the payload of a second Noise message.
//
//	 0  B        16
//	16  owner     8
//	24  how       1  bit 0: the session was known; I's tunnels live on
type answer struct {
	B     [16]byte
	Owner [8]byte
	How   byte
}

func (a answer) valid() bool { return a.How < 2 }
func (a answer) known() bool { return a.How == 1 }

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
	if len(b) != binary.Size(v) {
		return v, ErrMessage
	}
	if _, err := binary.Decode(b, binary.BigEndian, &v); err != nil || !v.valid() {
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
