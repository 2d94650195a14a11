package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// Cipher is the AEAD that a client has chosen for its carriers.
type Cipher byte

// The ciphers. Where the processor has no AES, the second is faster.
const (
	AESGCM Cipher = iota
	ChaCha20Poly1305
)

// MaxRecords is how many records one key seals: RFC 9001, appendix B.1, allows
// some 2^22.5 of 2^16 bytes for an advantage of 2^-57.
const MaxRecords = 1 << 22

// key seals or opens the records of one direction of a carrier. Its expanded cipher is
// 1,280 bytes, made at the first record and dropped by rest.
type key struct {
	seal.Hidden
	of     *generation // nil: an early key
	back   *key        // origin: seals what goes the other way
	cipher Cipher
	secret [32]byte
	used   uint64 // records that it has sealed or opened
	aead   cipher.AEAD
	nonce  [12]byte // beside the cipher: on the stack it would be moved to the heap
}

// at readies the nonce of a number: 4 zero bytes, then the number.
func (k *key) at(number uint64) cipher.AEAD {
	if k.aead == nil {
		k.aead = newAEAD(k.cipher, k.secret[:])
	}
	binary.BigEndian.PutUint64(k.nonce[4:], number)
	return k.aead
}

func (k *key) rest() {
	if k != nil {
		k.aead = nil
	}
}

// name is the number of its generation, or early.
func (k *key) name() int {
	if k.of == nil {
		return early
	}
	return int(k.of.j)
}

// early is the name of an early key, above all numbers of generations.
const early = 256

func newAEAD(c Cipher, secret []byte) cipher.AEAD {
	if c == ChaCha20Poly1305 {
		aead, err := chacha20poly1305.New(secret)
		return must(aead, err)
	}
	block, err := aes.NewCipher(secret)
	aead, _ := cipher.NewGCM(must(block, err)) // only for ciphers of another block size
	return aead
}

// sealer is one direction of a carrier, at the end that sends.
type sealer struct {
	*key        // nil: there is none yet
	next uint64 // the least number that may be sealed
}

// seal encrypts in place all but the first head bytes of b, which become at most most
// bytes. Numbers grow, whatever the key.
func (s *sealer) seal(number uint64, b []byte, head, most int) ([]byte, error) {
	if s.key == nil || number < s.next || s.used >= MaxRecords || len(b) <= head || len(b)+wire.RecordOverhead > most {
		return nil, ErrSpent
	}
	aead := s.at(number)
	s.next, s.used = number+1, s.used+1
	return aead.Seal(b[:head], s.nonce[:], b[head:], nil), nil
}

// opener is one direction of a carrier, at the end that receives.
type opener struct {
	keys   []*key // the newest first
	at     *key   // of the record at hand; nil: nothing has said what records are
	latest *key   // of the record with the highest number that has opened; nil: early, or none
	came   Window
}

// openerKeys bounds the keys of an opener: the one that is to come, the one in use and,
// at the gateway door, the one before it.
const openerKeys = 3

// add has records opened by k once a Turn names it.
func (o *opener) add(k *key) {
	o.keys = append([]*key{k}, o.keys[:min(len(o.keys), openerKeys-1)]...)
}

// pick has the record at hand opened by the key of that name, if there is one. Where
// records come in order no older key is needed any more.
func (o *opener) pick(name int, inOrder bool) bool {
	i := slices.IndexFunc(o.keys, func(k *key) bool { return k.name() == name })
	if o.at = nil; i < 0 {
		return false
	}
	if o.at = o.keys[i]; inOrder {
		o.keys = slices.Delete(o.keys, i+1, len(o.keys))
	}
	return true
}

// open decrypts, in place, the record of a number, without its length. ErrRepeated comes
// before any opening, and a number counts as come only when its record has opened. After
// ErrRecord the contents of sealed are lost.
func (o *opener) open(number uint64, sealed []byte) ([]byte, error) {
	if !o.came.Fresh(number) {
		return nil, ErrRepeated
	}
	if o.at == nil || len(sealed) <= wire.RecordOverhead {
		return nil, ErrRecord
	}
	plain, err := o.at.at(number).Open(sealed[:0], o.at.nonce[:], sealed, nil)
	if err != nil {
		return nil, ErrRecord
	}
	o.came.Take(number)
	return plain, nil
}

// WindowSize is how far behind the highest number others are told from repeats.
const WindowSize = 1024

// Window remembers which numbers have come. One that is WindowSize or more below
// the highest counts as come. The zero Window has none.
type Window struct {
	next uint64 // one more than the highest that has come
	bits [WindowSize / 64]uint64
}

// Fresh reports whether n has not come, as far as is known.
func (w *Window) Fresh(n uint64) bool {
	return n >= w.next || w.next-n <= WindowSize && *w.word(n)>>(n%64)&1 == 0
}

// Take notes that n has come; false if it had.
func (w *Window) Take(n uint64) bool {
	if !w.Fresh(n) {
		return false
	}
	for i := w.next; i <= n && i < w.next+WindowSize; i++ { // these share their places with older ones
		*w.word(i) &^= 1 << (i % 64)
	}
	w.next = max(w.next, n+1)
	*w.word(n) |= 1 << (n % 64)
	return true
}

func (w *Window) word(n uint64) *uint64 { return &w.bits[n/64%uint64(len(w.bits))] }
