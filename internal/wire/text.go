package wire

import (
	"encoding/binary"
	"errors"
)

// API Gateway takes text only (close code 1003 for anything else), in messages
// of at most 128 KB and WebSocket frames of at most 32 KB.
const (
	// MaxTextPart is one WebSocket frame of a text message: API Gateway's 32 KB
	// with room for the frame's own header, in case it counts.
	MaxTextPart = 32<<10 - 16
	// MaxText is the most characters of one text message: four such frames.
	MaxText = 4 * MaxTextPart
)

// letters are the visible ASCII characters but for " & and \, which JSON or
// HTML-safe JSON would write as two to six: 91 of them, so that two hold 13
// bits. That is 1.231 characters a byte, where base64 needs 1.333.
const letters = "!#$%'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"

const (
	pairBits = 13 // in two letters
	oneBits  = 6  // in one, at the end
	noLetter = 0xff
)

// pairs maps 13 bits to two letters, values a letter to its number.
var (
	pairs  [1 << pairBits]uint16
	values [256]byte
)

func init() {
	for i := range pairs {
		pairs[i] = uint16(letters[i/len(letters)]) | uint16(letters[i%len(letters)])<<8
	}
	for i := range values {
		values[i] = noLetter
	}
	for i := range len(letters) {
		values[letters[i]] = byte(i)
	}
}

// ErrText means that a text was not made by AppendText.
var ErrText = errors.New("not our text")

// TextLen is how many letters n bytes become.
func TextLen(n int) int {
	bits := 8 * n
	length, rest := bits/pairBits*2, bits%pairBits
	switch {
	case rest == 0:
		return length
	case rest <= oneBits:
		return length + 1
	}
	return length + 2
}

// BytesLen is how many bytes fit into n letters.
func BytesLen(n int) int { return (n/2*pairBits + n%2*oneBits) / 8 }

// AppendText appends b as letters: groups of 13 bits, the first bit first, the
// last group filled with zeros to 6 bits in one letter or to 13 in two.
func AppendText(dst, b []byte) []byte {
	for len(b) >= 13 { // which are 16 letters
		hi, lo := binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[5:])
		var out [16]byte
		putPair(out[0:], hi>>51)
		putPair(out[2:], hi>>38)
		putPair(out[4:], hi>>25)
		putPair(out[6:], hi>>12)
		putPair(out[8:], lo>>39)
		putPair(out[10:], lo>>26)
		putPair(out[12:], lo>>13)
		putPair(out[14:], lo)
		dst = append(dst, out[:]...)
		b = b[13:]
	}
	return appendTail(dst, b)
}

func putPair(dst []byte, v uint64) {
	binary.LittleEndian.PutUint16(dst, pairs[v&(1<<pairBits-1)])
}

func appendTail(dst, b []byte) []byte {
	var acc uint32
	bits := 0
	for _, c := range b {
		acc, bits = acc<<8|uint32(c), bits+8
		if bits >= pairBits {
			bits -= pairBits
			dst = binary.LittleEndian.AppendUint16(dst, pairs[acc>>bits&(1<<pairBits-1)])
		}
	}
	switch {
	case bits > oneBits:
		dst = binary.LittleEndian.AppendUint16(dst, pairs[acc<<(pairBits-bits)&(1<<pairBits-1)])
	case bits > 0:
		dst = append(dst, letters[acc<<(oneBits-bits)&(1<<oneBits-1)])
	}
	return dst
}

// AppendBytes appends the bytes that text stands for. Any error is ErrText:
// bytes have one spelling.
func AppendBytes(dst, text []byte) ([]byte, error) {
	n := BytesLen(len(text))
	if TextLen(n) != len(text) {
		return dst, ErrText
	}
	for n >= 13 {
		var v [8]uint64
		var bad uint64
		for i := range v {
			v[i] = pairValue(text[2*i], text[2*i+1])
			bad |= v[i]
		}
		if bad >= 1<<pairBits {
			return dst, ErrText
		}
		dst = binary.BigEndian.AppendUint64(dst, v[0]<<51|v[1]<<38|v[2]<<25|v[3]<<12|v[4]>>1)
		dst = dst[:len(dst)-3]
		dst = binary.BigEndian.AppendUint64(dst, v[3]<<52|v[4]<<39|v[5]<<26|v[6]<<13|v[7])
		text, n = text[16:], n-13
	}
	return appendBytesTail(dst, text)
}

// pairValue is 2^13 or more if a and b are no pair.
func pairValue(a, b byte) uint64 {
	x, y := uint64(values[a]), uint64(values[b])
	if x == noLetter || y == noLetter {
		return 1 << pairBits
	}
	return x*uint64(len(letters)) + y
}

func appendBytesTail(dst, text []byte) ([]byte, error) {
	var acc uint32
	bits := 0
	for len(text) > 0 {
		v, size := uint64(values[text[0]]), oneBits
		if len(text) > 1 {
			v, size = pairValue(text[0], text[1]), pairBits
		}
		if v >= 1<<size {
			return dst, ErrText
		}
		acc, bits = acc<<size|uint32(v), bits+size
		for bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
		}
		text = text[min(2, len(text)):]
	}
	if acc&(1<<bits-1) != 0 {
		return dst, ErrText
	}
	return dst, nil
}
