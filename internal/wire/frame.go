package wire

import (
	"encoding/binary"
	"errors"
)

// Kind says what a frame is for.
type Kind byte

// The kinds.
const (
	Pad      Kind = iota // the rest of the record, ignored
	Open                 // client: begins a tunnel; Body is service and early bytes
	Data                 // bytes of the stream from Pos on
	Fin                  // Pos is the position after the last byte
	Ack                  // all before Pos was written; Num is the window
	Use                  // client: send by this carrier; Num is the order, Code what of the others
	Reset                // the tunnel is given up; Code is the reason
	Ping                 // Pos is anything
	Pong                 // Pos is the Ping's
	Leave                // origin: new tunnels elsewhere
	Received             // Pos is a count of bytes that came by this carrier, Clock the sender's, in µs
	Budget               // client: Num bytes may still come down this carrier
	Again                // client: Body is an Agree's
	Answer               // origin: Body is an Agreed's
	Got                  // gateway door: all messages before Num have come
	Fronts               // origin: Body is a signed list
	kinds
)

// Reason says why a tunnel was given up.
type Reason byte

// A Reset has one of these reasons.
const (
	Aborted     Reason = 1 + iota // the stream was reset, or reading or writing it failed
	Unknown                       // the receiver has no such tunnel
	Refused                       // the Open frame makes no sense
	NotAllowed                    // the service's host is not on the allowlist
	Unreachable                   // WhatsApp could not be dialled
	Broken                        // the peer broke a rule of the protocol
	Busy                          // the receiver holds all that it may
	Expired                       // no carrier came for HoldTunnel
)

var reasonText = [...]string{"", "stream aborted", "unknown tunnel", "tunnel refused", "host not allowed",
	"WhatsApp unreachable", "protocol error", "origin is full", "no carrier for too long"}

func (r Reason) String() string {
	if r == 0 || r >= Reason(len(reasonText)) {
		return "reset"
	}
	return reasonText[r]
}

// What a Use says of the tunnel's other carriers, as bits of Code.
const (
	Alone byte = 1 << iota // none of them is to be sent by
	Lost                   // one of them has died here: send anew what is not acked and went by others
)

// MaxPos keeps positions far from overflow; 2^62 bytes never cross a tunnel.
const MaxPos = 1 << 62

// MaxData is the most bytes of the stream in one Data frame: it fills a record of the
// stream door alone.
const MaxData = MaxRecord - RecordHead - RecordOverhead - DataHead

// DataHead is what a Data frame takes besides the stream's bytes.
const DataHead = 1 + 4 + 8 + 2

// Lengths of bodies.
const (
	againLen  = 162
	answerLen = 73
)

// Frame is any of them: a kind has the fields that its layout names, and all others are zero.
type Frame struct {
	Kind   Kind
	Code   byte
	Tunnel uint32 // from 1
	Num    uint32
	Pos    uint64
	Clock  uint64
	Body   []byte // aliases the record
}

// field is a part of a layout.
type field byte

const (
	tunnel field = iota // 4
	pos                 // 8, below MaxPos
	any8                // 8
	clock               // 8
	num                 // 4
	code                // 1, not 0
	how                 // 1, up to 3
	body                // 2 of length, not 0, and as many
	rest                // all that is left
	again               // againLen
	answer              // answerLen
)

var layouts = [kinds][]field{
	Pad:      {rest},
	Open:     {tunnel, body},
	Data:     {tunnel, pos, body},
	Fin:      {tunnel, pos},
	Ack:      {tunnel, pos, num},
	Use:      {tunnel, num, how},
	Reset:    {tunnel, code},
	Ping:     {any8},
	Pong:     {any8},
	Leave:    {},
	Received: {any8, clock},
	Budget:   {num},
	Again:    {again},
	Answer:   {answer},
	Got:      {num},
	Fronts:   {body},
}

// ErrFrame means that bytes are no frame. End the carrier that brought them; its
// tunnels go on through another.
var ErrFrame = errors.New("not a frame")

// NextFrame cuts the first frame off a record. Body aliases b. The error is ErrFrame.
func NextFrame(b []byte) (f Frame, more []byte, err error) {
	if len(b) == 0 || Kind(b[0]) >= kinds {
		return Frame{}, nil, ErrFrame
	}
	f.Kind, b = Kind(b[0]), b[1:]
	for _, part := range layouts[f.Kind] {
		n, ok := f.read(part, b)
		if !ok {
			return Frame{}, nil, ErrFrame
		}
		b = b[n:]
	}
	return f, b, nil
}

// read takes one field off b and says how long it is.
func (f *Frame) read(part field, b []byte) (n int, ok bool) {
	switch n = part.length(b); {
	case n < 0 || n > len(b):
		return 0, false
	case part == tunnel:
		f.Tunnel = binary.BigEndian.Uint32(b)
		return n, f.Tunnel != 0
	case part == num:
		f.Num = binary.BigEndian.Uint32(b)
	case part == clock:
		f.Clock = binary.BigEndian.Uint64(b)
	case n == 8 && (part == pos || part == any8):
		f.Pos = binary.BigEndian.Uint64(b)
		return n, part == any8 || f.Pos < MaxPos
	case part == code || part == how:
		f.Code = b[0]
		return n, part == code && b[0] != 0 || part == how && b[0] <= Alone|Lost
	case part == body:
		f.Body = b[2:n]
		return n, n > 2
	default:
		f.Body = b[:n]
	}
	return n, true
}

// length is -1 if b is too short to tell.
func (part field) length(b []byte) int {
	switch part {
	case tunnel, num:
		return 4
	case pos, any8, clock:
		return 8
	case code, how:
		return 1
	case again:
		return againLen
	case answer:
		return answerLen
	case body:
		if len(b) < 2 {
			return -1
		}
		return 2 + int(binary.BigEndian.Uint16(b))
	}
	return len(b)
}

// Append appends f, which NextFrame reads again: its fields are within their bounds.
func (f *Frame) Append(b []byte) []byte {
	b = append(b, byte(f.Kind))
	for _, part := range layouts[f.Kind] {
		switch part {
		case tunnel:
			b = binary.BigEndian.AppendUint32(b, f.Tunnel)
		case num:
			b = binary.BigEndian.AppendUint32(b, f.Num)
		case clock:
			b = binary.BigEndian.AppendUint64(b, f.Clock)
		case pos, any8:
			b = binary.BigEndian.AppendUint64(b, f.Pos)
		case code, how:
			b = append(b, f.Code)
		case body:
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(f.Body))), f.Body...)
		default:
			b = append(b, f.Body...)
		}
	}
	return b
}

// Early reports whether f may stand in an early record.
func (f *Frame) Early() bool { return f.Kind == Open || f.Kind == Pad }
