package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// Cipher is the AEAD that a client has chosen for its carriers.
type Cipher byte

// The ciphers. Where the processor has no AES, the second is faster.
const (
	AESGCM Cipher = iota
	ChaCha20Poly1305
)

const (
	// HeadLen is the length of a record's length, at the stream door.
	HeadLen = 2
	// Overhead is the tag that sealing adds.
	Overhead = 16
	// MaxRecord bounds a record with its length and tag at the stream door. As one
	// masked WebSocket message (8 bytes of header) it fills four TLS records.
	MaxRecord = 64<<10 - 8
	// MaxRecords is how many records one key seals: RFC 9001, appendix B.1, allows
	// some 2^22.5 of 2^16 bytes for an advantage of 2^-57.
	MaxRecords = 1 << 22
)

var (
	// ErrRecord means that a record does not open. End the carrier that brought it.
	ErrRecord = errors.New("not a record of this carrier")
	// ErrSpent means that a key has sealed MaxRecords, that there is none, or that a
	// number was used. End the carrier.
	ErrSpent = errors.New("the carrier's key may seal no more")
	// ErrRepeated means that a message has come before, or is too old to tell. Ignore it.
	ErrRepeated = errors.New("the message has come before")
)

// Key is the secret of one direction. It shows itself to nobody.
type Key [32]byte

// String does not reveal the key.
func (Key) String() string { return "[hidden key]" }

// GoString does not reveal the key.
func (Key) GoString() string { return "[hidden key]" }

// half is one direction's key. Its expanded cipher is 1,280 bytes, made at the
// first record and dropped by rest.
type half struct {
	cipher Cipher
	set    bool
	key    Key
	aead   cipher.AEAD
	nonce  [12]byte // beside the cipher: on the stack it would be moved to the heap
}

func (h *half) turn(c Cipher, k Key) { *h = half{cipher: c, set: true, key: k} }

func (h *half) rest() { h.aead = nil }

// at readies the nonce of a number: 4 zero bytes, then the number.
func (h *half) at(number uint64) cipher.AEAD {
	if h.aead == nil {
		h.aead = newAEAD(h.cipher, &h.key)
	}
	binary.BigEndian.PutUint64(h.nonce[4:], number)
	return h.aead
}

func (h *half) open(number uint64, sealed []byte) ([]byte, error) {
	if !h.set || len(sealed) <= Overhead {
		return nil, ErrRecord
	}
	plain, err := h.at(number).Open(sealed[:0], h.nonce[:], sealed, nil)
	if err != nil {
		return nil, ErrRecord
	}
	return plain, nil
}

func newAEAD(c Cipher, k *Key) cipher.AEAD {
	if c == ChaCha20Poly1305 {
		aead, err := chacha20poly1305.New(k[:])
		return must(aead, err)
	}
	block, err := aes.NewCipher(k[:])
	aead, _ := cipher.NewGCM(must(block, err))
	return aead
}

// Watch is told each number before it is sealed, by tests that look for one that comes
// twice. It is nil otherwise.
var Watch func(c Cipher, k Key, number uint64)

// Sealer is one direction of a carrier, at the end that sends. One goroutine at a
// time may use it: whoever holds the carrier's write lock. Do not copy it.
type Sealer struct {
	half
	next uint64 // the least number that may be sealed
	used uint64 // records that the present key has sealed
}

// Turn has what follows sealed under another key. Numbers go on.
func (s *Sealer) Turn(c Cipher, k Key) {
	s.turn(c, k)
	s.used = 0
}

// Used is how many records the present key has sealed.
func (s *Sealer) Used() uint64 { return s.used }

// Rest drops what can be made anew: the carrier is idle.
func (s *Sealer) Rest() { s.rest() }

// Seal makes a record of the stream door in place: b is HeadLen bytes of room and
// then frames, at least one byte of them, and has Overhead bytes of capacity
// behind. The error is ErrSpent; b is not sealed then.
func (s *Sealer) Seal(b []byte) ([]byte, error) {
	sealed, err := s.seal(s.next, b, HeadLen, MaxRecord)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(sealed, uint16(len(sealed)-HeadLen))
	return sealed, nil
}

// SealMessage seals the message of a number of the gateway door in place, all but
// its first head bytes. Numbers must grow.
func (s *Sealer) SealMessage(number uint32, b []byte, head int) ([]byte, error) {
	return s.seal(uint64(number), b, head, 1<<30)
}

func (s *Sealer) seal(number uint64, b []byte, head, most int) ([]byte, error) {
	if !s.set || number < s.next || s.used >= MaxRecords || len(b) <= head || len(b)+Overhead > most {
		return nil, ErrSpent
	}
	if Watch != nil {
		Watch(s.cipher, s.key, number)
	}
	aead := s.at(number)
	s.next, s.used = number+1, s.used+1
	return aead.Seal(b[:head], s.nonce[:], b[head:], nil), nil
}

// Opener is one direction of a carrier, at the end that receives. It keeps two keys:
// at the gateway door messages come late, twice and in any order. One goroutine at a
// time may use it. Do not copy it.
type Opener struct {
	keys [2]named // the newest first
	came Window
}

// named is a key with a name: its generation's number, or one above 255.
type named struct {
	half
	name uint16
}

// Has reports whether there is a key of that name.
func (o *Opener) Has(name uint16) bool { return o.find(name) != nil }

func (o *Opener) find(name uint16) *named {
	for i := range o.keys {
		if o.keys[i].set && o.keys[i].name == name {
			return &o.keys[i]
		}
	}
	return nil
}

// Turn adds a key, and forgets the one before the last; or, without keep, all others.
func (o *Opener) Turn(name uint16, c Cipher, k Key, keep bool) {
	if o.keys[1] = o.keys[0]; !keep {
		o.keys[1] = named{}
	}
	o.keys[0] = named{name: name}
	o.keys[0].turn(c, k)
}

// Rest drops what can be made anew.
func (o *Opener) Rest() {
	o.keys[0].rest()
	o.keys[1].rest()
}

// Open opens, in place, the record of a number, without its length. ErrRepeated comes
// before any opening, and a number counts as come only when its record has opened. After
// ErrRecord the contents of sealed are lost.
func (o *Opener) Open(name uint16, number uint64, sealed []byte) ([]byte, error) {
	if !o.came.Fresh(number) {
		return nil, ErrRepeated
	}
	k := o.find(name)
	if k == nil {
		return nil, ErrRecord
	}
	plain, err := k.open(number, sealed)
	if err == nil {
		o.came.Take(number)
	}
	return plain, err
}
