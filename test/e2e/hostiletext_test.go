package e2e

import (
	"bytes"
	"encoding/base64"
	"time"

	"culvert/internal/session"
	"culvert/internal/wire"
)

// textMessage is one of the gateway door, taken apart.
type textMessage struct {
	way           int
	token, ticket string // empty: it has none
	body          []byte
}

// parseText reads what goes up, way 0, or down. What is none of ours is left alone.
func parseText(way int, msg []byte) (m textMessage, ok bool) {
	var text []byte
	var err error
	if m.way = way; way == 0 {
		var up wire.Up
		up, err = wire.ParseUp(msg)
		m.token, m.ticket, text = up.Token, up.Ticket, up.Body
	} else {
		m.ticket, text, err = wire.ParseDown(msg)
	}
	if err == nil {
		m.body, err = wire.AppendBytes(nil, text)
	}
	return m, err == nil
}

func (m textMessage) bytes() []byte {
	head := wire.AppendDown(nil, m.ticket)
	if m.way == 0 {
		head = wire.AppendUp(nil, m.token, m.ticket)
	}
	return wire.AppendText(head, m.body)
}

// field is a part of a text message, and what the message is called that begins it.
type field struct {
	name     string
	of       *string // a token or ticket; nil: the body
	from, to int
}

// fields are those of a token and a ticket, and of the body.
func (m *textMessage) fields() (all []field) {
	add := func(of *string, names []string, ends ...int) {
		from := 0
		for i, to := range ends {
			all = append(all, field{names[i], of, from, to})
			from = to
		}
	}
	if m.token != "" {
		add(&m.token, []string{"token's version", "token's user", "token's time", "token's nonce", "token's gate", "token's proof"}, 1, 5, 9, 19, 35, 51)
	}
	if m.ticket != "" {
		add(&m.ticket, []string{"ticket's nonce", "ticket's owner", "ticket's user", "ticket's time", "ticket's tag"}, 12, 30, 34, 38, 54)
	}
	const number = 4
	if len(m.body) <= number {
		return all
	}
	p, _, rest, err := session.Next(m.body[number:])
	if err != nil {
		return all
	}
	record, tag := len(m.body)-len(rest), len(m.body)-wire.RecordOverhead
	plain := [...]string{session.Challenge: "challenge", session.Join: "Join", session.Agree: "Agree", session.Agreed: "Agreed", session.Turn: "Turn", session.Unknown: "Unknown"}[p]
	names, ends := []string{"number", plain + "'s number", plain}, []int{number, number + 2, record}
	if len(rest) > wire.RecordOverhead {
		names, ends = append(names, "record of "+plain, "tag of "+plain), append(ends, tag, len(m.body))
	}
	if record == number+2 { // Unknown has no body
		names, ends = append(names[:2:2], names[3:]...), append(ends[:2:2], ends[3:]...)
	}
	add(nil, names, ends...)
	return all
}

// flip changes one bit of f, of all that it has.
func (m *textMessage) flip(f field, bit int) {
	b := m.body
	if f.of != nil {
		b, _ = base64.RawURLEncoding.DecodeString(*f.of)
	}
	if len(b) < f.to {
		return // it is no token or ticket
	}
	bit %= 8 * (f.to - f.from)
	b[f.from+bit/8] ^= 1 << (bit % 8)
	if f.of != nil {
		*f.of = base64.RawURLEncoding.EncodeToString(b)
	}
}

// note keeps the tokens and tickets of a message. mu is held.
func (h *hostile) note(way int, msg []byte) {
	m, ok := parseText(way, msg)
	if ok && m.token != "" {
		h.tokens = append(h.tokens, m.token)
	}
	if ok && m.ticket != "" {
		h.tickets = append(h.tickets, m.ticket)
	}
}

// any is one of all; empty if there is none. mu is held.
func (h *hostile) any(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[h.random.IntN(len(all))]
}

func (d *direction) flippedText(msg []byte) []byte {
	m, ok := parseText(d.way, msg)
	if !ok {
		return msg
	}
	all := m.fields()
	m.flip(all[d.random.IntN(len(all))], d.random.IntN(1<<20))
	return m.bytes()
}

// wrongText is what goes in the place of msg that only this door knows.
func (d *direction) wrongText(msg []byte) []parcelOf {
	m, ok := parseText(d.way, msg)
	if !ok {
		return []parcelOf{{by: d, msg: msg}}
	}
	later := time.Duration(d.random.IntN(8000)) * time.Millisecond
	switch d.random.IntN(8) {
	case 0: // with another's ticket, or with one of another origin
		m.ticket = d.any(d.tickets)
	case 1: // with another's token, or one that was used; what is no hello becomes one
		m.token = d.any(d.tokens)
	case 2: // without a ticket, and no hello any more
		m.ticket, m.token = "", ""
	case 3: // with another number
		m.body[3] += byte(1 + d.random.IntN(5))
	case 4: // with the plain message of another, or its record
		m.body = d.mixed(m.body)
	case 5: // late
		return []parcelOf{{by: d, msg: msg, after: later}}
	case 6: // now, and late again
		return []parcelOf{{by: d, msg: msg}, {by: d, msg: msg, after: later}}
	default: // by another carrier, too
		return []parcelOf{{by: d, msg: msg}, {by: d.live[d.way][d.random.IntN(len(d.live[d.way]))], msg: msg}}
	}
	return []parcelOf{{by: d, msg: m.bytes()}}
}

// mixed is a body with the plain message of one that was kept, in which the number or the
// record may be the kept one's, too. mu is held.
func (d *direction) mixed(body []byte) []byte {
	const number = 4
	old, ok := parseText(d.way, d.old(d.way))
	if !ok {
		return body
	}
	cut := func(b []byte) (plain, record []byte) {
		_, _, rest, err := session.Next(b[number:])
		if err != nil {
			return nil, nil
		}
		return b[number : len(b)-len(rest)], rest
	}
	plain, record := cut(body)
	oldPlain, oldRecord := cut(old.body)
	from := body[:number]
	if d.random.IntN(2) == 0 {
		from = old.body[:number]
	}
	if d.random.IntN(2) == 0 {
		return bytes.Join([][]byte{from, oldPlain, record}, nil)
	}
	return bytes.Join([][]byte{from, plain, oldRecord}, nil)
}
