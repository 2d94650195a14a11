package whatsapp

import (
	"encoding/binary"
	"errors"
)

// errProto means bytes are no Protocol Buffers message of the shape expected.
var errProto = errors.New("not the message expected")

// Wire types of the Protocol Buffers encoding; groups (3, 4) are refused.
const (
	protoVarint = 0
	proto64     = 1
	protoBytes  = 2
	proto32     = 5
)

// protoField is one field of a message. data aliases the message; value is set
// for varints only.
type protoField struct {
	num   uint64
	typ   byte
	value uint64
	data  []byte
}

// nextField reads the first field of b and returns what follows it. A number
// has one spelling: varints longer than they need be are refused.
func nextField(b []byte) (f protoField, rest []byte, err error) {
	key, b, err := nextVarint(b)
	if err != nil || key>>3 == 0 || key>>3 > 1<<29-1 {
		return f, nil, errProto
	}
	f.num, f.typ = key>>3, byte(key&7)
	size := uint64(0)
	switch f.typ {
	case protoVarint:
		f.value, rest, err = nextVarint(b)
		return f, rest, err
	case protoBytes:
		if size, b, err = nextVarint(b); err != nil {
			return f, nil, err
		}
	case proto64:
		size = 8
	case proto32:
		size = 4
	default:
		return f, nil, errProto
	}
	if size > uint64(len(b)) {
		return f, nil, errProto
	}
	f.data = b[:size:size]
	return f, b[size:], nil
}

func nextVarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 || n > 1 && b[n-1] == 0 {
		return 0, nil, errProto
	}
	return v, b[n:], nil
}

// protoMessage holds the fields that this package asks of any message: numbers
// 1 to 5. Others are skipped, as newer servers may send them.
type protoMessage [6]struct {
	protoField
	set bool
}

func parseMessage(b []byte) (m protoMessage, err error) {
	for len(b) > 0 {
		var f protoField
		if f, b, err = nextField(b); err != nil {
			return m, err
		}
		if f.num >= uint64(len(m)) {
			continue
		}
		if m[f.num].set {
			return m, errProto
		}
		m[f.num].protoField, m[f.num].set = f, true
	}
	return m, nil
}

// bytes is field num, which must be there, be bytes, and have size bytes unless
// size is 0.
func (m *protoMessage) bytes(num, size int) ([]byte, error) {
	f := m[num]
	if !f.set || f.typ != protoBytes || size != 0 && len(f.data) != size {
		return nil, errProto
	}
	return f.data, nil
}

// number is field num, 0 if it is missing.
func (m *protoMessage) number(num int) (uint64, error) {
	if f := m[num]; f.set && f.typ != protoVarint {
		return 0, errProto
	}
	return m[num].value, nil
}

// appendBytes writes field num.
func appendBytes(b []byte, num int, data []byte) []byte {
	b = binary.AppendUvarint(b, uint64(num)<<3|protoBytes)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}
