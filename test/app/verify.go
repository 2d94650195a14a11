package app

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"culvert/internal/whatsapp"

	"filippo.io/edwards25519/field"
)

// verify wants the CertChain {1 leaf, 2 intermediate} to lead from root to the
// server's static key. Serials and times are internal/whatsapp's to look at.
func verify(chain []byte, root [32]byte, static []byte) error {
	intermediate, ok := signed(find(chain, 2), root[:])
	if !ok {
		return fmt.Errorf("%w: intermediate is not signed by the root", whatsapp.ErrSignature)
	}
	leaf, ok := signed(find(chain, 1), find(intermediate, 3))
	if !ok || !bytes.Equal(find(leaf, 3), static) {
		return fmt.Errorf("%w: leaf is not the server's", whatsapp.ErrSignature)
	}
	return nil
}

// signed is the details of a NoiseCertificate {1 details, 2 signature} if issuer
// signed them: by Ed25519 with the image of its Curve25519 key, (u-1)/(u+1), whose
// sign is the signature's top bit.
func signed(cert, issuer []byte) (details []byte, ok bool) {
	details, sig := find(cert, 1), bytes.Clone(find(cert, 2))
	u, err := new(field.Element).SetBytes(issuer)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return nil, false
	}
	one := new(field.Element).One()
	above := new(field.Element).Add(u, one)
	key := u.Subtract(u, one).Multiply(u, above.Invert(above)).Bytes()
	key[31] |= sig[63] & 0x80
	sig[63] &= 0x7f
	return details, ed25519.Verify(key, details, sig)
}
