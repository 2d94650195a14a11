package wire

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Event is what happened at API Gateway. A connection that begins is no event:
// its first message is.
type Event byte

// The events that functions hand on.
const (
	Message    Event = 1 + iota // Text came from the client
	Disconnect                  // the connection has ended; may come late or never
)

// Handed is what a function hands to the origin in a POST. The body:
//
//	 0  version     1  2
//	 1  event       1
//	 2  time        4  Unix seconds
//	 6  salt       16  of the function's instance
//	22  counter     8  how many bodies the instance has signed before
//	30  length      1  of the connection's id
//	31  id          …
//	    text        …
//	    tag        16  AES-256-GCM of no plaintext, all before it being additional data
//
// The tag's key is HMAC-SHA256 by the gate's key for this over the salt, so
// that the counter is a nonce that no key sees twice.
type Handed struct {
	Event Event
	Conn  string // API Gateway's id of the connection
	Text  []byte // of a Message; aliases the body when checked
}

// MaxConnID bounds the id of a connection. API Gateway's have 12 to 16
// characters now.
const MaxConnID = 128

// MaxHanded bounds a body.
const MaxHanded = handedHead + MaxConnID + MaxText + 16

// HandedLife is how far a body's time may be from the origin's: both have
// AWS's clock, and a POST lives for 29 s at most.
const HandedLife = 2 * time.Minute

const (
	handedVersion = 2
	saltLen       = 16
	handedHead    = 31
)

// ErrHanded means that a body is not from one of our functions. It never says
// why; whoever sent it sees a website.
var ErrHanded = errors.New("not handed on by a function")

// Signer makes bodies for one instance of a function. It may be used by many
// goroutines.
type Signer struct {
	counter atomic.Uint64
	keys    []salted
	gates   GateKeys
	tickets *Tickets
}

// salted is one of a Signer's keys. Whoever checks knows it by its salt.
type salted struct {
	cipher.AEAD
	salt [saltLen]byte
}

// NewSigner signs by the one of keys that made the ticket of a message, as its owner may
// not know a newer one: it serves what it holds to the end. Where no ticket holds it is the key
// of the token, which whoever lets the user in knows; without either it is the first.
func NewSigner(keys GateKeys) *Signer {
	s := &Signer{gates: keys, tickets: NewTickets(keys)}
	for _, k := range keys {
		var salt [saltLen]byte
		rand.Read(salt[:])
		s.keys = append(s.keys, salted{handedGCM(k, salt[:]), salt})
	}
	return s
}

// by is the key to sign h by.
func (s *Signer) by(h Handed, now time.Time) *salted {
	if len(s.keys) == 1 || h.Event != Message {
		return &s.keys[0]
	}
	up, _ := ParseUp(h.Text)
	if _, by, err := s.tickets.open(up.Ticket); err == nil {
		return &s.keys[by]
	}
	token, _ := ParseToken(up.Token)
	by, _ := token.AdmittedBy(s.gates, now)
	return &s.keys[by]
}

func handedGCM(k GateKey, salt []byte) cipher.AEAD {
	return newGCM(GateKey(k.derive(handedLabel)).derive(string(salt)))
}

// Sign makes the body of h, whose Conn has 1 to MaxConnID bytes.
func (s *Signer) Sign(h Handed, now time.Time) []byte {
	b := make([]byte, handedHead, handedHead+len(h.Conn)+len(h.Text)+16)
	b[0], b[1], b[30] = handedVersion, byte(h.Event), byte(len(h.Conn))
	binary.BigEndian.PutUint32(b[2:], uint32(now.Unix()))
	key := s.by(h, now)
	copy(b[6:], key.salt[:])
	binary.BigEndian.PutUint64(b[22:], s.counter.Add(1)-1)
	b = append(append(b, h.Conn...), h.Text...)
	return key.Seal(b, handedNonce(b), nil, b)
}

// handedNonce is 4 zero bytes and the counter.
func handedNonce(b []byte) []byte {
	nonce := make([]byte, ticketNonce)
	copy(nonce[4:], b[22:30])
	return nonce
}

// Checker opens what functions hand on. It may be used by many goroutines.
type Checker struct {
	keys GateKeys

	mu    sync.RWMutex // guards the following
	known map[[saltLen]byte]cipher.AEAD
}

// maxKnown bounds the instances whose key is remembered. All are forgotten
// when there are more.
const maxKnown = 4096

// NewChecker accepts what was signed by any of keys.
func NewChecker(keys GateKeys) *Checker {
	return &Checker{keys: keys, known: map[[saltLen]byte]cipher.AEAD{}}
}

// Check reads a body. Any error is ErrHanded. A body may come more than once.
func (c *Checker) Check(body []byte, now time.Time) (Handed, error) {
	if len(body) < handedHead+1+16 || body[0] != handedVersion {
		return Handed{}, ErrHanded
	}
	made := time.Unix(int64(binary.BigEndian.Uint32(body[2:])), 0)
	idLen := int(body[30])
	signed := body[:len(body)-16]
	if now.Sub(made).Abs() > HandedLife || idLen == 0 || handedHead+idLen > len(signed) || !c.genuine(body, signed) {
		return Handed{}, ErrHanded
	}
	h := Handed{Event(body[1]), string(body[handedHead : handedHead+idLen]), signed[handedHead+idLen:]}
	if h.Event != Message && h.Event != Disconnect || idLen > MaxConnID {
		return Handed{}, ErrHanded
	}
	return h, nil
}

func (c *Checker) genuine(body, signed []byte) bool {
	salt, tag, nonce := [saltLen]byte(body[6:]), body[len(signed):], handedNonce(body)
	c.mu.RLock()
	aead := c.known[salt]
	c.mu.RUnlock()
	if aead != nil {
		_, err := aead.Open(nil, nonce, tag, signed)
		return err == nil
	}
	for _, k := range c.keys {
		aead := handedGCM(k, salt[:])
		if _, err := aead.Open(nil, nonce, tag, signed); err == nil {
			c.remember(salt, aead)
			return true
		}
	}
	return false
}

func (c *Checker) remember(salt [saltLen]byte, aead cipher.AEAD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[salt] = aead
}
