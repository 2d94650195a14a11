package wire

import (
	"encoding/binary"
	"strings"
)

// What a text message begins with; the rest, its body, is AppendText of
// Numbers and frames. None is the beginning of a JSON value, so
// that API Gateway routes all to $default, and what it says itself ("{…") is
// told apart.
const (
	textHello  = 'h' // client, first: token, ticket or noTicket
	textUp     = 'm' // client: the ticket of its connection
	textTicket = 't' // origin: the ticket for what follows
	textDown   = 'd' // origin
)

// noTicket fills a ticket's place in the hello of a client that has none.
var noTicket = strings.Repeat("-", TicketLen)

// textHead is the longest beginning, of a hello.
const textHead = 1 + TokenLen + TicketLen

// NumbersLen is how many bytes of a body precede its frames.
const NumbersLen = 8

// MaxTextFrames is how many bytes of frames fit into any text message: two
// frames of TextFrame, each of which fills two of the units of 32 KB that AWS
// charges for, but for textSlack, where acks ride.
const (
	MaxTextFrames = (MaxText-textHead)/2*pairBits/8 - NumbersLen
	TextFrame     = MaxTextFrames/2 - textSlack
	textSlack     = 5 * 32
)

// Up is a client's text message.
type Up struct {
	Token  string // of a hello, else empty
	Ticket string // or empty
	Body   []byte // as text; aliases the message
}

// AppendUp appends the beginning of a client's message.
func AppendUp(dst []byte, token, ticket string) []byte {
	if ticket == "" {
		ticket = noTicket
	}
	if token == "" {
		return append(append(dst, textUp), ticket...)
	}
	return append(append(append(dst, textHello), token...), ticket...)
}

// ParseUp reads a client's message. Any error is ErrText.
func ParseUp(text []byte) (Up, error) {
	var u Up
	switch {
	case len(text) > MaxText:
		return u, ErrText
	case len(text) > textHead && text[0] == textHello:
		u.Token, text = string(text[1:1+TokenLen]), text[1+TokenLen:]
	case len(text) > 1+TicketLen && text[0] == textUp:
		text = text[1:]
	default:
		return u, ErrText
	}
	u.Ticket, u.Body = string(text[:TicketLen]), text[TicketLen:]
	if u.Ticket == noTicket {
		u.Ticket = ""
	}
	return u, nil
}

// AppendDown appends the beginning of an origin's message, with a ticket or
// without.
func AppendDown(dst []byte, ticket string) []byte {
	if ticket == "" {
		return append(dst, textDown)
	}
	return append(append(dst, textTicket), ticket...)
}

// ParseDown reads an origin's message. ErrText is also the error for what API
// Gateway says itself, which is that a message of ours was lost.
func ParseDown(text []byte) (ticket string, body []byte, err error) {
	switch {
	case len(text) > 1 && text[0] == textDown:
		return "", text[1:], nil
	case len(text) > 1+TicketLen && text[0] == textTicket:
		return string(text[1 : 1+TicketLen]), text[1+TicketLen:], nil
	}
	return "", nil, ErrText
}

// Numbers are what a text message says of the connection: API Gateway may lose
// one, and says nothing.
type Numbers struct {
	Number uint32 // of this message, from 0, each way for itself
	Got    uint32 // all messages before this number have come
}

// PutNumbers writes n to the first NumbersLen bytes of a body.
func PutNumbers(b []byte, n Numbers) {
	binary.BigEndian.PutUint32(b, n.Number)
	binary.BigEndian.PutUint32(b[4:], n.Got)
}

// ParseBody reads a body from text: numbers and frames, which alias what it
// appended to dst. Any error is ErrText.
func ParseBody(dst, text []byte) (n Numbers, frames []byte, err error) {
	b, err := AppendBytes(dst, text)
	if b = b[len(dst):]; err != nil || len(b) < NumbersLen {
		return n, nil, ErrText
	}
	return Numbers{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}, b[NumbersLen:], nil
}
