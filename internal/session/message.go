package session

import (
	"encoding/binary"
)

// Plain is a message that is no  It stands in two bytes where a record has its
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
	headLen    = 2
	macLen     = 16
	helloLen   = 32 + 16 + 1 + 1 // the payload of the first Noise message
	answerLen  = 16 + 8 + 1      // and of the second
	agreeLen   = macLen + 32 + 48 + helloLen + 16
	agreedLen  = 32 + answerLen + 16
	joinLen    = 8 + 4 + 16
	leastCount = Overhead + 1 // the least length of a record
)

var plainLen = [...]int{Challenge: 16, Join: joinLen, Agree: agreeLen, Agreed: agreedLen, Turn: 1, Unknown: 0}

// whole reports whether body has p's length.
func (p Plain) whole(body []byte) bool { return int(p) < len(plainLen) && len(body) == plainLen[p] }

// Next cuts the first plain message or record off a message of the stream door. body
// aliases b. The error is ErrMessage.
func Next(b []byte) (p Plain, body, rest []byte, err error) {
	if len(b) < headLen {
		return 0, nil, nil, ErrMessage
	}
	n := int(binary.BigEndian.Uint16(b))
	if n < leastCount {
		return Cut(b)
	}
	if b = b[headLen:]; n > len(b) || n > MaxRecord-HeadLen {
		return 0, nil, nil, ErrMessage
	}
	return Record, b[:n], b[n:], nil
}

// Cut cuts the plain message off that a body at the gateway door begins with, behind
// its number. The error is ErrMessage.
func Cut(b []byte) (p Plain, body, rest []byte, err error) {
	if len(b) < headLen || b[0] != 0 || b[1] == 0 || int(b[1]) >= len(plainLen) {
		return 0, nil, nil, ErrMessage
	}
	p, b = Plain(b[1]), b[headLen:]
	if n := plainLen[p]; n <= len(b) {
		return p, b[:n], b[n:], nil
	}
	return 0, nil, nil, ErrMessage
}

func appendPlain(b []byte, p Plain, body ...byte) []byte {
	return append(append(b, 0, byte(p)), body...)
}

// join is what a Join says.
type join struct {
	g [8]byte
	n uint32
	c [16]byte
}

func (j *join) append(b []byte) []byte {
	b = append(b, j.g[:]...)
	b = binary.BigEndian.AppendUint32(b, j.n)
	return append(b, j.c[:]...)
}

// parseJoin wants joinLen bytes.
func parseJoin(b []byte) join {
	return join{g: [8]byte(b), n: binary.BigEndian.Uint32(b[8:]), c: [16]byte(b[12:])}
}

// hello is the payload of a first Noise message.
//
//	 0  E        32  random: what the early records' key comes from
//	32  I        16
//	48  how       1  bit 0: cipher; bit 1: goes on (the client has an R)
//	49  j         1
type hello struct {
	e      [32]byte
	i      [16]byte
	cipher Cipher
	on     bool
	j      byte
}

func (h *hello) append(b []byte) []byte {
	b = append(append(b, h.e[:]...), h.i[:]...)
	return append(b, byte(h.cipher)|bit(h.on)<<1, h.j)
}

func parseHello(b []byte) (hello, error) {
	if len(b) != helloLen || b[48] > 3 {
		return hello{}, ErrMessage
	}
	return hello{[32]byte(b), [16]byte(b[32:]), Cipher(b[48] & 1), b[48]&2 != 0, b[49]}, nil
}

// answer is the payload of a second Noise message.
//
//	 0  B        16
//	16  owner     8
//	24  how       1  bit 0: the session was known; I's tunnels live on
type answer struct {
	process [16]byte
	owner   [8]byte
	known   bool
}

func (a *answer) append(b []byte) []byte {
	return append(append(append(b, a.process[:]...), a.owner[:]...), bit(a.known))
}

func parseAnswer(b []byte) (answer, error) {
	if len(b) != answerLen || b[24] > 1 {
		return answer{}, ErrMessage
	}
	return answer{[16]byte(b), [8]byte(b[16:]), b[24] == 1}, nil
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
