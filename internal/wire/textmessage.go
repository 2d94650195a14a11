package wire

import (
	"encoding/binary"
	"strings"
)

// What a text message begins with; the rest is AppendText of the message's
// number, what has come, and frames. None is the beginning of a JSON value, so
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

// textHead is the longest beginning, of a hello; numbersLen what precedes the
// frames.
const (
	textHead   = 1 + TokenLen + TicketLen
	numbersLen = 8
)

// MaxTextFrames is how many bytes of frames fit into any text message: two
// frames of TextFrame, which alone fill two of the units of 32 KB that AWS
// charges for.
const (
	MaxTextFrames = (MaxText-textHead)/2*pairBits/8 - numbersLen
	TextFrame     = MaxTextFrames / 2
)

// Up is a client's text message.
type Up struct {
	Token  string // of a hello, else empty
	Ticket string // or empty
	Body   []byte // numbers and frames, as text; aliases the message
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

// AppendBody appends numbers and frames as text. It uses scratch, which must
// not overlap dst.
func AppendBody(dst []byte, n Numbers, frames, scratch []byte) []byte {
	scratch = binary.BigEndian.AppendUint32(scratch[:0], n.Number)
	scratch = binary.BigEndian.AppendUint32(scratch, n.Got)
	return AppendText(dst, append(scratch, frames...))
}

// ParseBody reads numbers and frames from text, and appends the frames to dst
// behind the numbers' 8 bytes: frames aliases what is returned as buf. Any
// error is ErrText.
func ParseBody(dst, text []byte) (n Numbers, frames, buf []byte, err error) {
	buf, err = AppendBytes(dst[:0], text)
	if err != nil || len(buf) < numbersLen {
		return n, nil, buf, ErrText
	}
	n = Numbers{binary.BigEndian.Uint32(buf), binary.BigEndian.Uint32(buf[4:])}
	return n, buf[numbersLen:], buf, nil
}
