package wire

import (
	"encoding/binary"
	"errors"
)

// Kind says what a frame is for.
type Kind byte

// A carrier-wide kind of frame has tunnel 0, all others do not.
const (
	Open   Kind = 1 + iota // client to origin: first message of the handshake, with the service and early bytes
	Accept                 // origin to client: second message of the handshake
	Data                   // bytes of the stream, sealed
	Fin                    // end of this direction, sealed: no bytes follow Seq
	Ack                    // Ack and Window only
	Attach                 // client to origin, sealed: send on this carrier from now on; Seq is the epoch
	Reset                  // the tunnel is given up; Seq is the Reason
	Ping                   // carrier-wide: answer with a Pong of the same Seq
	Pong                   // carrier-wide
	Drain                  // carrier-wide, origin to client: attach elsewhere, this carrier ends soon
)

const lastKind = Drain

// Reason says why a tunnel was given up.
type Reason uint64

// A Reset has one of these reasons.
const (
	Aborted     Reason = 1 + iota // the stream was reset, or reading or writing it failed
	Unknown                       // the receiver has no such tunnel
	Refused                       // the handshake is not valid, or is a replay
	NotAllowed                    // the service's host is not on the allowlist
	Unreachable                   // WhatsApp could not be dialled
	Broken                        // the peer broke a rule of the protocol
	Busy                          // the receiver holds all that it may
	Expired                       // no carrier came for HoldTunnel
	Clock                         // the handshake's time is off; Ack holds the origin's, in Unix seconds
	Stale                         // the origin has nothing to resume from: open anew with a full handshake
)

var reasonText = [...]string{"", "stream aborted", "unknown tunnel", "handshake refused", "host not allowed",
	"WhatsApp unreachable", "protocol error", "origin is full", "no carrier for too long", "clock is wrong", "nothing to resume from"}

func (r Reason) String() string {
	if r == 0 || r >= Reason(len(reasonText)) {
		return "reset"
	}
	return reasonText[r]
}

// TunnelID names a tunnel. The client chooses it at random, and it is never 0.
type TunnelID uint64

// HeaderLen is the length of a frame's header.
//
//	 0  kind     1  what the frame is for
//	 1  zero     1
//	 2  length   2  of the payload that follows the header
//	 4  tunnel   8  0: the frame concerns the carrier
//	12  seq      8  position in the stream of the payload's first byte
//	20  ack      8  all bytes before this position were written to the stream
//	28  window   4  how far beyond ack the receiver of this frame may send
//
// All numbers are big-endian.
const HeaderLen = 32

// Header is what every frame begins with. Ack and Window are not sealed: they
// are refreshed when a frame is sent again, and who forges them can stop a
// tunnel, as who drops frames can.
type Header struct {
	Kind   Kind
	Len    int // bytes of payload that follow
	Tunnel TunnelID
	Seq    uint64
	Ack    uint64
	Window uint32
}

// ErrFrame means the bytes are no frame of this protocol. Drop the carrier
// that brought them; its tunnels go on through another.
var ErrFrame = errors.New("not a frame")

// Put writes h to the first HeaderLen bytes of b.
func Put(b []byte, h Header) {
	_ = b[HeaderLen-1]
	b[0], b[1] = byte(h.Kind), 0
	binary.BigEndian.PutUint16(b[2:], uint16(h.Len))
	binary.BigEndian.PutUint64(b[4:], uint64(h.Tunnel))
	binary.BigEndian.PutUint64(b[12:], h.Seq)
	PutAck(b, h.Ack, h.Window)
}

// PutAck refreshes the ack and window of the frame in b.
func PutAck(b []byte, ack uint64, window uint32) {
	binary.BigEndian.PutUint64(b[20:], ack)
	binary.BigEndian.PutUint32(b[28:], window)
}

// Parse reads the header at the start of b and checks all that can be checked
// without the tunnel. Any error is ErrFrame. The payload, h.Len bytes, may
// still be missing from b.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderLen || b[1] != 0 {
		return Header{}, ErrFrame
	}
	h := Header{
		Kind:   Kind(b[0]),
		Len:    int(binary.BigEndian.Uint16(b[2:])),
		Tunnel: TunnelID(binary.BigEndian.Uint64(b[4:])),
		Seq:    binary.BigEndian.Uint64(b[12:]),
		Ack:    binary.BigEndian.Uint64(b[20:]),
		Window: binary.BigEndian.Uint32(b[28:]),
	}
	if !h.valid() {
		return Header{}, ErrFrame
	}
	return h, nil
}

// maxPos keeps positions far from overflow; 2^62 bytes never cross a tunnel.
const maxPos = 1 << 62

func (h Header) valid() bool {
	if h.Kind == 0 || h.Kind > lastKind || h.Len > MaxFrame-HeaderLen || h.Window > MaxWindow {
		return false
	}
	if carrierWide := h.Kind >= Ping; carrierWide != (h.Tunnel == 0) {
		return false
	}
	if h.Seq >= maxPos && h.Kind < Ping || h.Ack >= maxPos {
		return false
	}
	switch h.Kind {
	case Open, Accept:
		return h.Len > 0 && h.Seq == 0
	case Data:
		return h.Len > Overhead
	case Fin, Attach:
		return h.Len == Overhead
	case Reset:
		return h.Len == 0 && h.Seq > 0
	default:
		return h.Len == 0
	}
}
