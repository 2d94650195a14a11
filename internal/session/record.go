package session

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"

	"culvert/internal/seal"
)

// Cipher is the AEAD that a client has chosen for its carriers.
type Cipher byte

// The ciphers. Where the processor has no AES, the second is faster.
const (
	AESGCM Cipher = iota
	ChaCha20Poly1305
)

// key seals or opens the records of one direction of a carrier. Its expanded cipher is
// 1,280 bytes, made at the first record and dropped by rest.
type key struct {
	seal.Hidden
	of     *generation // nil: an early key
	back   *key        // of what is opened: seals what goes the other way
	secret [32]byte
	used   uint64 // records that it has sealed or opened
	aead   cipher.AEAD
	nonce  [12]byte // beside the cipher: on the stack it would be moved to the heap
	name   int16
	cipher Cipher
}

// at readies the nonce of a number.
func (k *key) at(number uint64) cipher.AEAD {
	if k.aead == nil {
		k.aead = newAEAD(k.cipher, k.secret[:])
	}
	k.nonce = [12]byte{}
	if k.cipher == AESGCM {
		copy(k.nonce[:], k.secret[aesKey:])
	}
	binary.BigEndian.PutUint64(k.nonce[4:], binary.BigEndian.Uint64(k.nonce[4:])^number)
	return k.aead
}

// forget erases what nothing is sealed or opened by any more.
func (k *key) forget() {
	clear(k.secret[:])
	k.aead = nil
}

// aesKey is the size of AES-GCM's key, with as many rounds as TLS has by it. What follows it in a secret is the nonce of
// number 0.
const aesKey = 16

func newAEAD(c Cipher, secret []byte) cipher.AEAD {
	if c == ChaCha20Poly1305 {
		return seal.Must(chacha20poly1305.New(secret))
	}
	return seal.Must(cipher.NewGCM(seal.Must(aes.NewCipher(secret[:aesKey]))))
}

// early names an early key. Others are named by the numbers of their generations.
const early = 256

// Window remembers which numbers have come. One that is WindowSize or more below
// the highest counts as come. The zero Window has none. It must not be copied.
type Window struct {
	next  uint64                   // one more than the highest that has come
	first uint64                   // while bits is nil: that and all up to next have come, and no others
	bits  *[WindowSize / 64]uint64 // nil until one comes out of turn, as few do: the bits of idle clients would be much
}

// Fresh reports whether n has not come, as far as is known.
func (w *Window) Fresh(n uint64) bool {
	switch {
	case n >= w.next:
		return true
	case w.next-n > WindowSize:
		return false
	case w.bits == nil:
		return n < w.first
	}
	return *w.word(n)>>(n%64)&1 == 0
}

// Take notes that n has come; false if it had.
func (w *Window) Take(n uint64) bool {
	if !w.Fresh(n) {
		return false
	}
	switch {
	case w.bits != nil:
	case w.next == 0:
		w.first, w.next = n, n+1
		return true
	case n == w.next:
		w.next++
		return true
	default:
		w.spread()
	}
	for i := w.next; i <= n && i < w.next+WindowSize; i++ { // these share their places with older ones
		*w.word(i) &^= 1 << (i % 64)
	}
	w.next = max(w.next, n+1)
	*w.word(n) |= 1 << (n % 64)
	return true
}

// spread has bits say what first does.
func (w *Window) spread() {
	w.bits = new([WindowSize / 64]uint64)
	for n := max(w.first, w.next-min(w.next, WindowSize)); n < w.next; n++ {
		*w.word(n) |= 1 << (n % 64)
	}
}

func (w *Window) word(n uint64) *uint64 { return &w.bits[n/64%uint64(len(w.bits))] }
