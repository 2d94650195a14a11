// Package frames writes and reads WebSocket frames one at a time, as RFC 6455
// lays them out, right ones and wrong ones. A WebSocket library hides where a
// frame ends and refuses to break a rule; API Gateway's emulator enforces quotas
// of single frames, and tests break rules. Nothing here is for products.
package frames

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Opcode says what a frame is. Opcodes without a name here are reserved.
type Opcode byte

// The opcodes of RFC 6455, section 5.2.
const (
	Continuation Opcode = 0
	Text         Opcode = 1
	Binary       Opcode = 2
	Close        Opcode = 8
	Ping         Opcode = 9
	Pong         Opcode = 10
)

// IsControl reports whether a frame may stand between the frames of a message.
func (o Opcode) IsControl() bool { return o >= Close }

func (o Opcode) isReserved() bool { return o > Binary && o < Close || o > Pong }

// Header is what stands in front of a frame's payload.
type Header struct {
	Fin      bool
	Reserved byte // three bits, for extensions
	Opcode   Opcode
	Masked   bool
	Mask     [4]byte
	Length   int64
}

// MaxHeader is how many bytes a header has at most.
const MaxHeader = 14

// maxControl is how many bytes of payload a control frame has at most.
const maxControl = 125

var errLength = errors.New("a frame's length has its highest bit set")

// ReadHeader reads a header. It refuses a length beyond an int64 and leaves all
// other rules to Header.MayCome.
func ReadHeader(r io.Reader) (h Header, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return h, err
	}
	h.Fin, h.Reserved, h.Opcode = b[0]&0x80 != 0, b[0]>>4&7, Opcode(b[0]&15)
	h.Masked, h.Length = b[1]&0x80 != 0, int64(b[1]&0x7f)
	switch h.Length {
	case 126:
		_, err = io.ReadFull(r, b[:2])
		h.Length = int64(binary.BigEndian.Uint16(b[:]))
	case 127:
		_, err = io.ReadFull(r, b[:])
		h.Length = int64(binary.BigEndian.Uint64(b[:]))
	}
	if err == nil && h.Length < 0 {
		err = errLength
	}
	if err == nil && h.Masked {
		_, err = io.ReadFull(r, h.Mask[:])
	}
	return h, err
}

// Append appends the header to b.
func (h Header) Append(b []byte) []byte {
	first, masked := h.Reserved<<4|byte(h.Opcode), byte(0)
	if h.Fin {
		first |= 0x80
	}
	if h.Masked {
		masked = 0x80
	}
	switch {
	case h.Length < 126:
		b = append(b, first, masked|byte(h.Length))
	case h.Length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, first, masked|126), uint16(h.Length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, masked|127), uint64(h.Length))
	}
	if h.Masked {
		b = append(b, h.Mask[:]...)
	}
	return b
}

// MayCome reports whether a server that negotiated no extension may get this
// header from a client, amid a fragmented message or not (sections 5.1, 5.4 and
// 5.5).
func (h Header) MayCome(amidMessage bool) bool {
	switch {
	case h.Opcode.isReserved(), h.Reserved != 0, !h.Masked:
		return false
	case h.Opcode.IsControl():
		return h.Fin && h.Length <= maxControl
	}
	return amidMessage == (h.Opcode == Continuation)
}

// Unmask applies the mask to a payload in place; twice is not at all.
func (h Header) Unmask(payload []byte) {
	for i := range payload {
		payload[i] ^= h.Mask[i%4]
	}
}

// Append appends a server's frame to b.
func Append(b []byte, o Opcode, fin bool, payload []byte) []byte {
	return append(Header{Fin: fin, Opcode: o, Length: int64(len(payload))}.Append(b), payload...)
}

// Masked is a client's frame. Its mask is always the same, since nobody here has
// to be kept from guessing it.
func Masked(o Opcode, fin bool, payload []byte) []byte {
	h := Header{Fin: fin, Opcode: o, Masked: true, Mask: [4]byte{0x37, 0xfa, 0x21, 0x3d}, Length: int64(len(payload))}
	b := h.Append(make([]byte, 0, MaxHeader+len(payload)))
	at := len(b)
	b = append(b, payload...)
	h.Unmask(b[at:])
	return b
}

// Read reads a frame of at most limit bytes, unmasked.
func Read(r io.Reader, limit int64) (Header, []byte, error) {
	h, err := ReadHeader(r)
	if err == nil && h.Length > limit {
		err = fmt.Errorf("a frame of %d bytes, want at most %d", h.Length, limit)
	}
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	h.Unmask(payload)
	return h, payload, err
}

// Codes that no close frame carries (section 7.4.1).
const (
	NoStatus = 1005 // the close frame had no code
	Abnormal = 1006 // there was no close frame
	noTLS    = 1015
)

// ClosePayload is what a close frame says.
func ClosePayload(code int, reason string) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// ParseClose reads what a close frame says: NoStatus if it is empty, and 0 if it
// says what none may.
func ParseClose(payload []byte) (code int, reason string) {
	switch len(payload) {
	case 0:
		return NoStatus, ""
	case 1:
		return 0, ""
	}
	code = int(binary.BigEndian.Uint16(payload))
	if code < 1000 || code > 4999 || code == NoStatus || code == Abnormal || code == noTLS {
		return 0, ""
	}
	return code, string(payload[2:])
}

// accept is the answer to a handshake's key (section 4.2.2).
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Upgrade answers a handshake, whose headers the caller has checked, within a
// time and with a subprotocol unless that is "". The caller reads from the reader
// and closes the connection, also after an error if there is one.
func Upgrade(w http.ResponseWriter, r *http.Request, protocol string, within time.Duration) (net.Conn, *bufio.Reader, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		accept(r.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	if protocol != "" {
		answer += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	conn.SetDeadline(time.Now().Add(within))
	_, err = io.WriteString(conn, answer+"\r\n")
	conn.SetDeadline(time.Time{})
	return conn, buffered.Reader, err
}

// Dial does a client's handshake over conn. What the server sends after it comes
// from the reader.
func Dial(conn net.Conn, host, path string, header http.Header) (*bufio.Reader, error) {
	const key = "dGhlIHNhbXBsZSBub25jZQ=="
	r, err := http.NewRequest(http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return nil, err
	}
	if header != nil {
		r.Header = header.Clone()
	}
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": key,
	} {
		r.Header.Set(name, value)
	}
	if err := r.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != accept(key) {
		return nil, fmt.Errorf("got %s, want a WebSocket", res.Status)
	}
	return in, nil
}
