package seal

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// SignatureLen is the length of what Sign returns.
const SignatureLen = ed25519.SignatureSize

// Sign signs message with the origin's static key, which every link can verify: by XEdDSA
// (https://signal.org/docs/specifications/xeddsa/). label says what the message is. No
// label is the beginning of another.
func (m Master) Sign(label string, message []byte) []byte {
	var random [64]byte
	rand.Read(random[:])
	return m.originPrivate().sign(append([]byte(label), message...), random)
}

// PublicKey is the origin's static key, as its links hold it.
func (m Master) PublicKey() PublicKey { return m.originPrivate().public() }

// sign is XEdDSA's. Its scalar is the one of the key's two whose point has the sign 0.
func (k PrivateKey) sign(message []byte, random [64]byte) []byte {
	a, secret := Must(edwards25519.NewScalar().SetBytesWithClamping(k[:])), clamped(k)
	public := new(edwards25519.Point).ScalarBaseMult(a).Bytes()
	if public[31]&0x80 != 0 {
		secret = [32]byte(a.Negate(a).Bytes())
		public[31] &= 0x7f
	}
	r := hashScalar(nonceLabel[:], secret[:], message, random[:])
	commitment := new(edwards25519.Point).ScalarBaseMult(r).Bytes()
	h := hashScalar(commitment, public, message)
	return append(commitment, edwards25519.NewScalar().MultiplyAdd(h, a, r).Bytes()...)
}

// clamped is k as X25519 uses it (RFC 7748, section 5).
func clamped(k PrivateKey) [32]byte {
	k[0] &= 248
	k[31] = k[31]&127 | 64
	return k
}

// nonceLabel begins what a nonce is hashed from, and is no point: 2^256 - 2.
var nonceLabel = func() (b [32]byte) {
	for i := range b {
		b[i] = 0xff
	}
	b[0] = 0xfe
	return b
}()

func hashScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return Must(edwards25519.NewScalar().SetUniformBytes(h.Sum(nil)))
}

// Verify reports whether the owner of k has signed message for label.
func (k PublicKey) Verify(label string, message, signature []byte) bool {
	return len(signature) == SignatureLen && ed25519.Verify(k.image(), append([]byte(label), message...), signature)
}

// image is the Ed25519 key of the sign 0 that belongs to k: (u-1)/(u+1). Where there is none it is
// of low order, as 0 is then the inverse of 0.
func (k PublicKey) image() ed25519.PublicKey {
	u := Must(new(field.Element).SetBytes(k[:]))
	one := new(field.Element).One()
	above := new(field.Element).Add(u, one)
	return u.Subtract(u, one).Multiply(u, above.Invert(above)).Bytes()
}
