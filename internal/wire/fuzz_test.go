package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// What a function has signed is read back as it was said, whatever that is.
func FuzzHanded(f *testing.F) {
	keys := testGateKeys(f, "ab")
	f.Add(NewSigner(keys).Sign(Handed{Message, "L0SM9cOFvHcCIhw=", []byte("mtext")}, handedAt))
	f.Fuzz(func(t *testing.T, b []byte) {
		NewChecker(keys).Check(b, handedAt)
		if len(b) < handedHead {
			return
		}
		signed := append(bytes.Clone(b), handedGCM(keys[0], b[6:6+saltLen]).Seal(nil, handedNonce(b), nil, b)...)
		h, err := NewChecker(keys).Check(signed, handedAt)
		if err == nil && (h.Conn == "" || len(h.Conn) > MaxConnID || !bytes.Equal(b[handedHead:], append([]byte(h.Conn), h.Text...))) {
			t.Errorf("got %q and %q of %q", h.Conn, h.Text, b)
		}
	})
}

// A ticket that opens is an address, whatever it holds, and only for as long as it says.
func FuzzTicket(f *testing.F) {
	tickets := NewTickets(testGateKeys(f, "a"))
	f.Add(tickets.New(0, Owner{User: 7}, handedAt), make([]byte, ticketRaw-ticketNonce-16))
	f.Fuzz(func(t *testing.T, text string, plain []byte) {
		tickets.Open(text, handedAt)
		if len(plain) != ticketRaw-ticketNonce-16 {
			return
		}
		o, err := readTicket(plain, handedAt)
		if age := handedAt.Unix() - int64(binary.BigEndian.Uint32(plain[22:])); err == nil && (age > int64(TicketLife/time.Second) || o.At.Addr().Is4In6()) {
			t.Errorf("got %v of %x, made %d s ago", o, plain, age)
		}
	})
}

// What ParseUp and ParseDown accept, their like writes back.
func FuzzTextMessage(f *testing.F) {
	f.Add(append(AppendUp(nil, "", ""), "body"...))
	token := newToken(7, start)
	f.Add(append(AppendUp(nil, token.Text(), ""), "body"...))
	f.Add(append(AppendDown(nil, ""), "body"...))
	f.Fuzz(func(t *testing.T, text []byte) {
		if u, err := ParseUp(text); err == nil {
			if got := append(AppendUp(nil, u.Token, u.Ticket), u.Body...); !bytes.Equal(got, text) {
				t.Errorf("put back %q, want %q", got, text)
			}
		}
		if ticket, body, err := ParseDown(text); err == nil && ticket != "" {
			if got := append(AppendDown(nil, ticket), body...); !bytes.Equal(got, text) {
				t.Errorf("put back %q, want %q", got, text)
			}
		}
	})
}
