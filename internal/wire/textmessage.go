package wire

import "strings"

// A text message begins with one of these; the rest, its body, is AppendText of the
// message's number, a plain message and a record, of which this package knows nothing.
// None is the beginning of a JSON value, so that API Gateway routes all to $default, and
// what it says itself ("{…") is told apart.
const (
	textHello  = 'h' // client, first: token, ticket or noTicket, body
	textUp     = 'm' // client: the ticket of its connection, body
	textTicket = 't' // origin: the ticket for what follows, body
	textDown   = 'd' // origin: body
)

// noTicket fills a ticket's place in the hello of a client that has none.
var noTicket = strings.Repeat("-", TicketLen)

// textHead is the longest beginning, of a hello.
const textHead = 1 + TokenLen + TicketLen

// MaxTextBody is how many bytes of a body fit into any text message.
const MaxTextBody = (MaxText - textHead) / 2 * pairBits / 8

// WholeParts is the most bytes of a body, at most n, that fill whole frames of a text
// message, which are what it is paid by: 0 if n does not fill one.
func WholeParts(n int) int {
	const part = MaxTextPart / 2 * pairBits / 8
	first := (MaxTextPart - textHead) / 2 * pairBits / 8
	if n < first {
		return 0
	}
	return first + (n-first)/part*part
}

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
