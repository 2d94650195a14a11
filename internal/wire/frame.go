package wire

import (
	"encoding/binary"
	"errors"
)

// Kind says what a frame is for.
type Kind byte

// These are the kinds; PROTOCOL.md has the layout of each.
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
	Again                // client: Body is an Agree's
	Answer               // origin: Body is an Agreed's
	Got                  // gateway door: all messages before Num have come
	Path                 // client: Code says which of its paths the carrier takes, Num how much it may bring; 0: any
	Known                // client: Num is the version of the list of fronts that it has; 0: it has none
	Fronts               // origin: Body is a list of fronts
	Bound                // client: Body is what its TLS exports
	Bare                 // the sender's next records are not sealed: TLS alone seals them
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

// These say, in Code, what a Use says of the tunnel's other carriers.
const (
	Alone byte = 1 << iota // none of them is to be sent by
	Lost                   // one of them has died here: send anew what is not acked and went by others
)

// MaxPos bounds positions: it keeps them far from overflow, and 2^62 bytes never cross
// a tunnel.
const MaxPos = 1 << 62

// MaxData is the most bytes of the stream in one Data frame: it fills a record of the
// stream door alone.
const MaxData = MaxRecord - RecordHead - RecordOverhead - DataHead

// DataHead is what a Data frame takes besides the stream's bytes.
const DataHead = 1 + 4 + 8 + 2

// These are the lengths of an Again's and an Answer's body.
const (
	againLen  = 162
	answerLen = 73
)

// BoundLen is the length of a Bound's body.
const BoundLen = 32

// Frame is any of them: a kind has the fields that its layout in PROTOCOL.md names, and
// all others are zero.
type Frame struct {
	Kind   Kind
	Code   byte
	Tunnel uint32 // from 1
	Num    uint32
	Pos    uint64
	Clock  uint64
	Body   []byte // aliases the record
}

// heads is how long a frame of each kind is at least: with the length of its body, but
// not the body of an Open, Data, Fronts or Pad.
var heads = [kinds]uint8{
	Pad:      1,
	Open:     1 + 4 + 2,
	Data:     DataHead,
	Fin:      1 + 4 + 8,
	Ack:      1 + 4 + 8 + 4,
	Use:      1 + 4 + 4 + 1,
	Reset:    1 + 4 + 1,
	Ping:     1 + 8,
	Pong:     1 + 8,
	Leave:    1,
	Received: 1 + 8 + 8,
	Again:    1 + againLen,
	Answer:   1 + answerLen,
	Got:      1 + 4,
	Path:     1 + 1 + 4,
	Known:    1 + 4,
	Fronts:   1 + 2,
	Bound:    1 + BoundLen,
	Bare:     1,
}

// MaxFronts bounds a list of fronts: it fits into the first record of a carrier.
const MaxFronts = 1920

// MaxPaths bounds the numbers of paths.
const MaxPaths = 16

// A carrier may bring a budget of bytes, at least LeastBudget. Each record counts its length and
// BudgetHead, which WebSocket and TLS add at most.
const (
	LeastBudget = 2 << 10
	BudgetHead  = 32
)

// budgetPart is what a front passes on of a text message by one TLS record, at least.
const budgetPart = 4 << 10

// MessageBudget is what a text message of the gateway door counts, whose body has n bytes: its text, as
// long as with a ticket, and BudgetHead for each part that a front may cut it into.
func MessageBudget(n int) int {
	text := 1 + TicketLen + TextLen(n)
	return text + BudgetHead*(1+text/budgetPart)
}

// BudgetedBody is how many bytes of a body a budget of n allows; below 0 if none.
func BudgetedBody(n int) int {
	text := n - BudgetHead*(1+n/budgetPart) - 1 - TicketLen
	if text < 0 {
		return -1
	}
	return BytesLen(text)
}

// ErrFrame means that bytes are no frame. End the carrier that brought them; its
// tunnels go on through another.
var ErrFrame = errors.New("not a frame")

// NextFrame cuts the first frame off a record. Body aliases b. The error is ErrFrame.
func NextFrame(b []byte) (f Frame, more []byte, err error) {
	if len(b) == 0 || Kind(b[0]) >= kinds || len(b) < int(heads[b[0]]) {
		return Frame{}, nil, ErrFrame
	}
	f.Kind = Kind(b[0])
	n := int(heads[f.Kind])
	ok := f.readHead(b)
	switch f.Kind {
	case Open, Data, Fronts:
		at := n
		n += int(binary.BigEndian.Uint16(b[at-2:]))
		if ok = ok && at < n && n <= len(b) && (f.Kind != Fronts || n-at <= MaxFronts); ok {
			f.Body = b[at:n]
		}
	case Pad:
		f.Body, n = b[1:], len(b)
	case Again, Answer, Bound:
		f.Body = b[1:n]
	}
	if !ok {
		return Frame{}, nil, ErrFrame
	}
	return f, b[n:], nil
}

// hasTunnel reports whether frames of a kind concern one tunnel, which comes first in them.
func (k Kind) hasTunnel() bool { return Open <= k && k <= Reset }

// readHead takes all but Body from b, which is as long as the head of f's kind, and
// reports whether every field is within its bounds.
func (f *Frame) readHead(b []byte) bool {
	if f.Kind.hasTunnel() {
		f.Tunnel = binary.BigEndian.Uint32(b[1:])
		return f.Tunnel != 0 && f.readTunnel(b[5:])
	}
	switch f.Kind {
	case Ping, Pong:
		f.Pos = binary.BigEndian.Uint64(b[1:])
	case Received:
		f.Pos, f.Clock = binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:])
	case Got, Known:
		f.Num = binary.BigEndian.Uint32(b[1:])
	case Path:
		f.Code, f.Num = b[1], binary.BigEndian.Uint32(b[2:])
		return f.Code < MaxPaths && (f.Num == 0 || f.Num >= LeastBudget)
	}
	return true
}

// readTunnel is readHead for what follows a tunnel's number.
func (f *Frame) readTunnel(b []byte) bool {
	switch f.Kind {
	case Data, Fin:
		f.Pos = binary.BigEndian.Uint64(b)
	case Ack:
		f.Pos, f.Num = binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:])
	case Use:
		f.Num, f.Code = binary.BigEndian.Uint32(b), b[4]
		return f.Code <= Alone|Lost
	case Reset:
		f.Code = b[0]
		return f.Code != 0
	}
	return f.Pos < MaxPos
}

// Append appends f, which NextFrame reads again: its fields are within their bounds.
func (f *Frame) Append(b []byte) []byte {
	b = append(b, byte(f.Kind))
	if f.Kind.hasTunnel() {
		b = binary.BigEndian.AppendUint32(b, f.Tunnel)
	}
	switch f.Kind {
	case Data, Fin, Ack, Ping, Pong, Received:
		b = binary.BigEndian.AppendUint64(b, f.Pos)
	}
	switch f.Kind {
	case Ack, Use, Got, Known:
		b = binary.BigEndian.AppendUint32(b, f.Num)
	case Received:
		return binary.BigEndian.AppendUint64(b, f.Clock)
	case Open, Data, Fronts:
		b = binary.BigEndian.AppendUint16(b, uint16(len(f.Body)))
	}
	switch f.Kind {
	case Use, Reset:
		return append(b, f.Code)
	case Path:
		return binary.BigEndian.AppendUint32(append(b, f.Code), f.Num)
	}
	return append(b, f.Body...)
}

// AppendHead appends what precedes the n bytes of a Data frame's body, which the caller
// appends.
func (f *Frame) AppendHead(b []byte, n int) []byte {
	b = binary.BigEndian.AppendUint32(append(b, byte(Data)), f.Tunnel)
	b = binary.BigEndian.AppendUint64(b, f.Pos)
	return binary.BigEndian.AppendUint16(b, uint16(n))
}

// Early reports whether f may stand in an early record.
func (f *Frame) Early() bool { return f.Kind == Open || f.Kind == Pad }
