package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// TicketLen is the length of a ticket: the bytes below as base64url, without
// a bit to spare.
//
//	 0  nonce   12  random
//	12  owner   16  IPv6 address, or IPv4 mapped into one
//	28  port     2
//	30  user     4
//	34  time     4  Unix seconds
//	38  tag     16
//
// From 12 on it is sealed by AES-256-GCM under the gate's ticket key: a client
// carries it and learns nothing from it.
const TicketLen = 72

// TicketLife is how long a ticket names its owner. It is made anew with every
// carrier, and an origin's address serves another only after longer.
const TicketLife = 24 * time.Hour

// PassedHeader marks a request that an origin passes on to the one that the
// request's ticket names, which serves it whatever the ticket says.
const PassedHeader = "Passed-On"

const (
	ticketNonce  = 12
	ticketSealed = 16 + 2 + 4 + 4
	ticketRaw    = ticketNonce + ticketSealed + 16
)

// ErrTicket means that a ticket names nobody. Go on as if there were none.
var ErrTicket = errors.New("no valid ticket")

// Owner is whom a ticket names: the origin that holds a user's tunnels.
type Owner struct {
	At   netip.AddrPort // where it takes carriers and messages, inside its network
	User uint32         // whose ticket it is
}

// hostMetadata is where EC2's metadata and other services listen on IPv6,
// within the private addresses.
var hostMetadata = netip.MustParsePrefix("fd00:ec2::/32")

// IsInside reports whether ip may be an owner's, as far as anybody can tell: a
// private address, and not a metadata service's (link-local ones are not
// private).
func IsInside(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsPrivate() && !hostMetadata.Contains(ip)
}

// Tickets makes and opens tickets. It may be used by many goroutines.
type Tickets struct{ aeads []cipher.AEAD }

// NewTickets opens tickets of any of keys.
func NewTickets(keys GateKeys) *Tickets {
	t := &Tickets{}
	for _, k := range keys {
		t.aeads = append(t.aeads, newGCM(k.derive(ticketLabel)))
	}
	return t
}

func newGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for keys of another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for other block sizes
	}
	return aead
}

// New makes a ticket that names o, by the key that has signed its user's token. So whoever lets the
// user in can open it: while a new secret is handed out there are functions and origins that know the
// last alone, and others that know the one before no more.
func (t *Tickets) New(by KeyNumber, o Owner, now time.Time) string {
	raw := make([]byte, ticketNonce, ticketRaw)
	rand.Read(raw)
	ip := o.At.Addr().As16()
	var plain [ticketSealed]byte
	copy(plain[:], ip[:])
	binary.BigEndian.PutUint16(plain[16:], o.At.Port())
	binary.BigEndian.PutUint32(plain[18:], o.User)
	binary.BigEndian.PutUint32(plain[22:], uint32(now.Unix()))
	return tokenText.EncodeToString(t.aeads[by].Seal(raw, raw, plain[:], nil))
}

// Open says whom a ticket names. Any error is ErrTicket.
func (t *Tickets) Open(ticket string, now time.Time) (Owner, error) {
	plain, _, err := t.open(ticket)
	if err != nil {
		return Owner{}, err
	}
	return readTicket(plain, now)
}

// open also says by which of the keys the ticket was made.
func (t *Tickets) open(ticket string) (plain []byte, by KeyNumber, err error) {
	var raw [ticketRaw]byte
	if len(ticket) != TicketLen {
		return nil, 0, ErrTicket
	}
	if n, err := tokenText.Decode(raw[:], []byte(ticket)); err != nil || n != ticketRaw {
		return nil, 0, ErrTicket
	}
	for i, aead := range t.aeads {
		if plain, err := aead.Open(nil, raw[:ticketNonce], raw[ticketNonce:], nil); err == nil {
			return plain, KeyNumber(i), nil
		}
	}
	return nil, 0, ErrTicket
}

func readTicket(plain []byte, now time.Time) (Owner, error) {
	addr := netip.AddrFrom16([16]byte(plain)).Unmap()
	o := Owner{netip.AddrPortFrom(addr, binary.BigEndian.Uint16(plain[16:])), binary.BigEndian.Uint32(plain[18:])}
	made := time.Unix(int64(binary.BigEndian.Uint32(plain[22:])), 0)
	if age := now.Sub(made); age > TicketLife || age < -TokenLife {
		return Owner{}, ErrTicket
	}
	return o, nil
}
