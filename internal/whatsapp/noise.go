package whatsapp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
)

// noiseName is exactly as long as a hash, so Noise takes it as it is (section
// 5.2 of its specification pads with zeros).
const noiseName = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// prologue opens a connection of WhatsApp Web and desktop: protocol 6,
// dictionary 3.
const prologue = "WA\x06\x03"

// noiseState is the client's side of WhatsApp's handshake. It is Noise XX with
// one difference: the empty payload of the first message is not hashed.
type noiseState struct {
	hash, salt [32]byte
	aead       cipher.AEAD
	nonce      uint64
}

func newNoiseState(prologue string) *noiseState {
	s := &noiseState{hash: [32]byte([]byte(noiseName)), salt: [32]byte([]byte(noiseName))}
	s.mixHash([]byte(prologue))
	return s
}

func (s *noiseState) mixHash(b []byte) {
	h := sha256.New()
	h.Write(s.hash[:])
	h.Write(b)
	h.Sum(s.hash[:0])
}

// mixKey does a Diffie-Hellman exchange and starts a new key with it. An error
// means that public is a point without a secret.
func (s *noiseState) mixKey(private *ecdh.PrivateKey, public []byte) error {
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return err
	}
	secret, err := private.ECDH(key)
	if err != nil {
		return err
	}
	salt, aead, err := s.expand(secret)
	if err != nil {
		return err
	}
	s.salt, s.aead, s.nonce = salt, aead, 0
	return nil
}

func (s *noiseState) expand(secret []byte) (first [32]byte, second cipher.AEAD, err error) {
	okm, err := hkdf.Key(sha256.New, secret, s.salt[:], "", 64)
	if err != nil {
		return first, nil, err
	}
	second, err = newGCM(okm[32:])
	return [32]byte(okm[:32]), second, err
}

// open decrypts ciphertext, which it leaves as it is.
func (s *noiseState) open(ciphertext []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, gcmNonce(s.nonce), ciphertext, s.hash[:])
	if err != nil {
		return nil, err
	}
	s.nonce++
	s.mixHash(ciphertext)
	return plain, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// gcmNonce is four zero bytes and n in big-endian, as Noise has it for AES-GCM.
func gcmNonce(n uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), n)
}
