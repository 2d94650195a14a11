package whatsapp

import (
	"crypto/ed25519"
	"math/big"
	"slices"
)

// verifyXEdDSA reports whether sig is key's signature of msg. key is a Curve25519
// public key; WhatsApp signs as Signal does (XEdDSA, signal.org/docs), with the
// sign bit of the Edwards point in the top bit of the signature.
func verifyXEdDSA(key [32]byte, msg, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	edwards, ok := edwardsKey(key)
	if !ok {
		return false
	}
	edwards[31] |= sig[63] & 0x80
	sig = slices.Clone(sig)
	sig[63] &= 0x7f
	return ed25519.Verify(edwards[:], msg, sig)
}

// fieldPrime is 2^255 - 19.
var fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// edwardsKey maps the Montgomery u-coordinate u to the Edwards y-coordinate
// (u-1)/(u+1), RFC 7748 section 4.1, with sign bit 0. It refuses coordinates
// that are not reduced, and -1, which has no image. Everything here is public,
// so time may depend on it.
func edwardsKey(key [32]byte) (y [32]byte, ok bool) {
	slices.Reverse(key[:])
	u := new(big.Int).SetBytes(key[:])
	one := big.NewInt(1)
	if u.Cmp(fieldPrime) >= 0 {
		return y, false
	}
	inv := new(big.Int).ModInverse(new(big.Int).Add(u, one), fieldPrime)
	if inv == nil {
		return y, false
	}
	u.Sub(u, one).Mul(u, inv).Mod(u, fieldPrime).FillBytes(y[:])
	slices.Reverse(y[:])
	return y, true
}
