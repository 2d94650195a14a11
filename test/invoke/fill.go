package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"culvert/internal/session"
	"culvert/internal/wire"
)

// What the events say of their API, and the user whose tokens they hold.
const (
	api   = "k2pbx7q4mj"
	stage = "v1"
	user  = 7
)

// filler fills the recorded events' places for tokens and tickets, which are
// good for minutes. A token that occurs twice in an event is filled alike; each event
// has another, as an origin takes a token once.
type filler struct {
	owner netip.AddrPort // the origin that tickets name
	keys  wire.GateKeys  // ours
	other wire.GateKeys  // of another deployment
	proof [32]byte       // the user's ProofKey
	now   time.Time
}

func newFiller(keys wire.GateKeys, proof [32]byte, owner netip.AddrPort) *filler {
	_, other := newGate()
	return &filler{owner: owner, keys: keys, other: other, proof: proof, now: time.Now()}
}

// newGate makes a gate's secret and its keys.
func newGate() (secret string, keys wire.GateKeys) {
	secret = newSecret()
	keys, err := wire.ParseGateKeys(secret)
	if err != nil {
		panic(err) // only for texts of another form
	}
	return secret, keys
}

// newSecret is like those that AWS Secrets Manager makes.
func newSecret() string { return (rand.Text() + rand.Text() + rand.Text())[:64] }

// fill reads the event in a file and fills it.
func (f *filler) fill(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the event: %w; infra/events has some", err)
	}
	t, err := template.New(filepath.Base(path)).Funcs(f.places()).Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("read the event: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, nil)
	return out.Bytes(), err
}

func (f *filler) places() template.FuncMap {
	token := f.tokenBy(f.keys, f.now)
	return template.FuncMap{
		"token":           func() string { return token },
		"oldToken":        func() string { return f.tokenBy(f.keys, f.now.Add(-time.Hour)) },
		"strangersToken":  func() string { return f.tokenBy(f.other, f.now) },
		"ticket":          func() string { return f.ticketBy(f.keys, f.owner, f.now) },
		"oldTicket":       func() string { return f.ticketBy(f.keys, f.owner, f.now.Add(-25*time.Hour)) },
		"strangersTicket": func() string { return f.ticketBy(f.other, f.owner, f.now) },
		"deadTicket":      func() string { return f.ticketBy(f.keys, netip.AddrPortFrom(f.owner.Addr(), 65535), f.now) },
		"ticketOf":        f.ticketOf,
		"noTicket":        func() string { return strings.Repeat("-", wire.TicketLen) },
		"forged":          forged,
		"body":            body,
		"fullBody":        fullBody,
		"letters":         func(n int) string { return strings.Repeat("x", n) },
	}
}

func (f *filler) tokenBy(keys wire.GateKeys, at time.Time) string {
	made := wire.NewToken(user, keys[0].TokenKey(user), f.proof, at)
	return made.Text()
}

func (f *filler) ticketBy(keys wire.GateKeys, owner netip.AddrPort, at time.Time) string {
	return wire.NewTickets(keys).New(0, wire.Owner{At: owner, User: user}, at)
}

// ticketOf names any address, as only who has our key can.
func (f *filler) ticketOf(address string) (string, error) {
	owner, err := netip.ParseAddrPort(address)
	return f.ticketBy(f.keys, owner, f.now), err
}

// forged changes a letter in the midst of a token or ticket.
func forged(text string) string {
	at, letter := len(text)/2, "A"
	if text[at] == 'A' {
		letter = "B"
	}
	return text[:at] + letter + text[at+1:]
}

// body is as short as one may be. As Joins of sessions that no origin knows these bodies
// need no key, and keep their carrier.
func body(number int) string { return bodyOf(number, 1+wire.RecordOverhead) }

// fullBody is one that has no room for more.
func fullBody(number int) string { return bodyOf(number, wire.MaxTextBody-joinBody) }

// joinBody is the length of a message's number and a Join: its own number, the name of a
// generation, how often that was joined by, and 16 random bytes.
const joinBody = 4 + 2 + 8 + 4 + 16

func bodyOf(number, record int) string {
	b := make([]byte, joinBody+record)
	binary.BigEndian.PutUint32(b, uint32(number))
	b[5] = byte(session.Join)
	b[17] = 1 // the first of that generation
	rand.Read(b[18:])
	return string(wire.AppendText(nil, b))
}
