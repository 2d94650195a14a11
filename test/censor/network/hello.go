package network

import (
	"golang.org/x/crypto/cryptobyte"
)

const (
	recordHead      = 5 // type, version and length of a TLS record, RFC 8446, section 5.1
	recordHandshake = 22
	maxHello        = 16 << 10 // bytes of a first record; more is no ClientHello of TLS
	serverName      = 0        // the extension's number, RFC 6066, section 3
)

// hello collects what a client sends first, until it is a whole record.
type hello struct {
	began bool
	next  uint32 // sequence number of what comes next
	b     []byte
	done  bool
}

// add takes a segment's payload. It says whether this made the hello whole, or
// showed that there is none. What comes out of order comes again in order.
func (h *hello) add(p packet) bool {
	if !h.began {
		h.began, h.next = true, p.seq
	}
	if h.done || p.seq != h.next {
		return false
	}
	h.next += uint32(len(p.payload))
	h.b = append(h.b, p.payload...)
	h.done = len(h.b) > maxHello || h.b[0] != recordHandshake ||
		len(h.b) >= recordHead && len(h.b) >= recordHead+int(h.b[3])<<8+int(h.b[4])
	return h.done
}

// name is the server's name in the hello, or empty.
func (h *hello) name() string {
	s := cryptobyte.String(h.b)
	var body, session, suites, methods, extensions cryptobyte.String
	var kind uint8
	if !s.Skip(recordHead) || !s.ReadUint8(&kind) || !s.ReadUint24LengthPrefixed(&body) || !body.Skip(2+32) ||
		!body.ReadUint8LengthPrefixed(&session) || !body.ReadUint16LengthPrefixed(&suites) ||
		!body.ReadUint8LengthPrefixed(&methods) || !body.ReadUint16LengthPrefixed(&extensions) {
		return ""
	}
	for !extensions.Empty() {
		var number uint16
		var value, names, name cryptobyte.String
		if !extensions.ReadUint16(&number) || !extensions.ReadUint16LengthPrefixed(&value) {
			return ""
		}
		if number == serverName && value.ReadUint16LengthPrefixed(&names) && names.Skip(1) && names.ReadUint16LengthPrefixed(&name) {
			return string(name)
		}
	}
	return ""
}
