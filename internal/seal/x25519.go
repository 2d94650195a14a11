package seal

import (
	"crypto/subtle"
	"errors"

	"github.com/cloudflare/circl/dh/x25519"
)

// X25519 comes from circl, which is faster than crypto/ecdh wherever both run.
// AMD EPYC with ADX, Go 1.26: 22.8 µs against 33.1 for a shared secret, 14.6
// against 32.5 for a public key (a table of the generator's multiples); without
// assembly at either: 33.4 against 38.4 and 20.8 against 37.4. Both run in
// constant time; tests compare them.

// errLowOrder means the public key is a point of low order, which would give
// the same secret to everybody (RFC 7748, section 6.1).
var errLowOrder = errors.New("public key of low order")

func (k PrivateKey) public() PublicKey {
	var public PublicKey
	x25519.KeyGen((*x25519.Key)(&public), (*x25519.Key)(&k))
	return public
}

func (k PrivateKey) shared(peer PublicKey) ([32]byte, error) {
	var secret [32]byte
	if !x25519.Shared((*x25519.Key)(&secret), (*x25519.Key)(&k), (*x25519.Key)(&peer)) {
		return [32]byte{}, errLowOrder
	}
	return secret, nil
}

// pair is one end's static key, the peer's, and the secret they share. No two
// handshakes of these two ends differ in it, so it is computed once.
type pair struct {
	private PrivateKey
	public  PublicKey
	peer    PublicKey
	secret  [32]byte
}

// between fails if peer is a point of low order.
func between(private PrivateKey, public, peer PublicKey) (pair, error) {
	secret, err := private.shared(peer)
	return pair{private, public, peer, secret}, err
}

// dh multiplies, unless it is asked for the secret that it holds.
func (p *pair) dh(private, public []byte) ([]byte, error) {
	same := subtle.ConstantTimeCompare(private, p.private[:]) & subtle.ConstantTimeCompare(public, p.peer[:])
	if same == 1 {
		return p.secret[:], nil
	}
	secret, err := PrivateKey(private).shared(PublicKey(public))
	return secret[:], err
}
