package seal

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"

	"github.com/flynn/noise"
)

// errLowOrder means that a public key is a point of low order, which would give the same
// secret to everybody (RFC 7748, section 6.1).
var errLowOrder = errors.New("public key of low order")

// Pair is one end's static key, the peer's public one, and what the two share. It is
// read only: any number of handshakes may use it at once.
type Pair struct {
	Hidden
	private *ecdh.PrivateKey
	peer    PublicKey
	secret  [32]byte // that the static keys share
	prk     [32]byte // that it gives to HKDF, with both public keys
}

// NewClientPair is a link's. It fails if the link's key of the origin is none.
func NewClientPair(keys ClientKeys) (*Pair, error) {
	private := keys.Private.key()
	return newPair(private, keys.Origin, keys.Origin, PublicKey(private.PublicKey().Bytes()))
}

func newPair(private *ecdh.PrivateKey, peer, origin, client PublicKey) (*Pair, error) {
	p := &Pair{private: private, peer: peer}
	var err error
	if p.secret, err = shared(p.private, peer); err != nil {
		return nil, err
	}
	prk, err := hkdf.Extract(sha256.New, p.secret[:], append(origin[:], client[:]...))
	p.prk = [32]byte(Must(prk, err))
	return p, nil
}

// ProofKey proves to the origin, and to it alone, that a token is the user's.
func (p *Pair) ProofKey() [32]byte { return Expand(p.prk[:], "culvert 2 token key") }

// PublicKey is the own key's: at an origin, the key that the user's link has of it.
func (p *Pair) PublicKey() PublicKey { return PublicKey(p.private.PublicKey().Bytes()) }

// MAC is HMAC-SHA256 of parts, by a key of the pair that label names.
func (p *Pair) MAC(label string, parts ...[]byte) []byte {
	key := Expand(p.prk[:], label)
	m := hmac.New(sha256.New, key[:])
	for _, part := range parts {
		m.Write(part)
	}
	return m.Sum(nil)
}

// IsPeer reports whether a static key that a handshake has brought is the peer's.
func (p *Pair) IsPeer(static []byte) bool { return subtle.ConstantTimeCompare(static, p.peer[:]) == 1 }

// Handshake is one of Noise_IK_25519_AESGCM_SHA256 (https://noiseprotocol.org/noise.html)
// between the two static keys. The client is its initiator.
func (p *Pair) Handshake(initiator bool, prologue []byte, random io.Reader) *noise.HandshakeState {
	cfg := noise.Config{
		CipherSuite: noise.NewCipherSuite(&curve{pair: p}, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:     noise.HandshakeIK, Initiator: initiator, Prologue: prologue, Random: random,
		StaticKeypair: noise.DHKey{Private: p.private.Bytes(), Public: p.private.PublicKey().Bytes()},
	}
	if initiator {
		cfg.PeerStatic = p.peer[:]
	}
	hs, err := noise.NewHandshakeState(cfg)
	return Must(hs, err)
}

// curve is X25519 for one handshake of a Pair. No two of them differ in the secret that
// the static keys share, so that is computed once. The standard library makes a public key
// with each private one, so the ephemeral one is kept.
type curve struct {
	pair      *Pair
	ephemeral *ecdh.PrivateKey
}

func (*curve) DHLen() int     { return len(PublicKey{}) }
func (*curve) DHName() string { return "25519" }

func (c *curve) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var private PrivateKey
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return noise.DHKey{}, err
	}
	c.ephemeral = private.key()
	return noise.DHKey{Private: private[:], Public: c.ephemeral.PublicKey().Bytes()}, nil
}

func (c *curve) DH(private, public []byte) ([]byte, error) {
	key := c.ephemeral
	if subtle.ConstantTimeCompare(private, c.pair.private.Bytes()) == 1 {
		if c.pair.IsPeer(public) {
			return c.pair.secret[:], nil
		}
		key = c.pair.private
	}
	secret, err := shared(key, PublicKey(public))
	return secret[:], err
}

func (k PrivateKey) key() *ecdh.PrivateKey { return Must(ecdh.X25519().NewPrivateKey(k[:])) }

func (k PrivateKey) public() PublicKey { return PublicKey(k.key().PublicKey().Bytes()) }

func shared(private *ecdh.PrivateKey, peer PublicKey) (secret [32]byte, err error) {
	b, err := private.ECDH(Must(ecdh.X25519().NewPublicKey(peer[:])))
	if err != nil {
		return [32]byte{}, errLowOrder
	}
	return [32]byte(b), nil
}

// Expand is the second half of HKDF-SHA256 (RFC 5869).
func Expand(prk []byte, info string) [32]byte {
	key, err := hkdf.Expand(sha256.New, prk, info, 32)
	return [32]byte(Must(key, err))
}

// Must is for errors that no input causes.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
