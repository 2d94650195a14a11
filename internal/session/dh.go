package session

import (
	"crypto/subtle"
	"io"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/flynn/noise"
)

// dh is X25519 for the handshakes of one pair. circl is faster than crypto/ecdh, which
// computes a public key for each private one that it is given; and the secret of the two
// static keys, which every handshake asks for, is computed once.
type dh struct {
	*Pair
	secret [32]byte
}

func (*dh) DHLen() int     { return 32 }
func (*dh) DHName() string { return "25519" }

func (*dh) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var private, public x25519.Key
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return noise.DHKey{}, err
	}
	x25519.KeyGen(&public, &private)
	return noise.DHKey{Private: private[:], Public: public[:]}, nil
}

func (d *dh) DH(private, public []byte) ([]byte, error) {
	static := subtle.ConstantTimeCompare(private, d.private[:]) & subtle.ConstantTimeCompare(public, d.peer[:])
	if static == 1 {
		return d.secret[:], nil
	}
	mine, theirs := x25519.Key(private), x25519.Key(public)
	var secret x25519.Key
	if !x25519.Shared(&secret, &mine, &theirs) { // a point of low order
		return nil, ErrProof
	}
	return secret[:], nil
}
