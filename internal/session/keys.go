package session

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/flynn/noise"
)

// The labels of what is derived, none the beginning of another of one secret.
const (
	labelPrologue = "culvert 2"
	labelAgree    = "culvert 2 agree"
	labelAgreeKey = "culvert 2 agree key"
	labelTokenKey = "culvert 2 token key"
	labelEarly    = "culvert 2 early"
	labelName     = "culvert 2 name"
	labelRoot     = "culvert 2 root"
	labelUp       = "culvert 2 up"
	labelDown     = "culvert 2 down"
)

// Pair is one end's static key, the peer's, and what the two share. It is read only.
type Pair struct {
	private, public, peer [32]byte
	agree, proof          [32]byte
	suite                 noise.CipherSuite
}

// NewClientPair is a link's: the user's private key and the origin's public one. The
// error is ErrProof, for keys that are none.
func NewClientPair(private, origin [32]byte) (*Pair, error) { return newPair(private, origin, true) }

// NewOriginPair is the origin's for one user.
func NewOriginPair(private, client [32]byte) (*Pair, error) { return newPair(private, client, false) }

func newPair(private, peer [32]byte, client bool) (*Pair, error) {
	mine, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		return nil, ErrProof
	}
	theirs, err := ecdh.X25519().NewPublicKey(peer[:])
	if err != nil {
		return nil, ErrProof
	}
	secret, err := mine.ECDH(theirs) // fails for points of low order
	if err != nil {
		return nil, ErrProof
	}
	p := &Pair{private: private, public: [32]byte(mine.PublicKey().Bytes()), peer: peer}
	salt := append(append([]byte{}, p.public[:]...), peer[:]...) // the origin's first
	if client {
		salt = append(append([]byte{}, peer[:]...), p.public[:]...)
	}
	prk := extract(secret, salt)
	p.agree, p.proof = expand(prk, labelAgreeKey), expand(prk, labelTokenKey)
	p.suite = noise.NewCipherSuite(&dh{p, [32]byte(secret)}, noise.CipherAESGCM, noise.HashSHA256)
	return p, nil
}

// ProofKey proves to the origin, and to it alone, that a token is the user's.
func (p *Pair) ProofKey() [32]byte { return p.proof }

// mac is what an Agree begins with.
func (p *Pair) mac(prologue, message []byte) []byte {
	m := hmac.New(sha256.New, p.agree[:])
	m.Write([]byte(labelAgree))
	m.Write(prologue)
	m.Write(message)
	return m.Sum(nil)[:macLen]
}

// extract is HKDF-Extract. It fails only where FIPS 140 forbids, which we do not ask for.
func extract(secret, salt []byte) []byte {
	prk, err := hkdf.Extract(sha256.New, secret, salt)
	return must(prk, err)
}

func expand(prk []byte, info string) [32]byte {
	out, err := hkdf.Expand(sha256.New, prk, info, 32)
	return [32]byte(must(out, err))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// earlyKey seals what follows an Agree before its answer has come.
func earlyKey(e, root *[32]byte) Key {
	return Key(expand(extract(e[:], root[:]), labelEarly))
}

// generation is a secret that both ends have agreed on.
type generation struct {
	j      byte
	cipher Cipher
	first  bool // it comes from no root: a session begins with it
	born   time.Time
	name   [8]byte

	mu     sync.Mutex // guards the following
	erased bool
	secret [32]byte

	session *Session // origin
	proved  bool     // origin: a record under it has opened; guarded by Origin.mu
	joins   Window   // origin: the n that have proved themselves; guarded by Origin.mu
	joined  uint32   // client: the last n; guarded by Client.mu
}

// newGeneration derives from Noise's two keys and last hash, and from the session's root.
func newGeneration(h []byte, k1, k2 [32]byte, root *[32]byte) *generation {
	both := append(append(append(make([]byte, 0, 96), k1[:]...), k2[:]...), root[:]...)
	g := &generation{secret: [32]byte(extract(both, h))}
	name := expand(g.secret[:], labelName)
	g.name = [8]byte(name[:])
	clear(both)
	return g
}

// derive fails when the generation is erased.
func (g *generation) derive(label string, context ...[]byte) (Key, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.erased {
		return Key{}, ErrOrder
	}
	info := []byte(label)
	for _, c := range context {
		info = append(info, c...)
	}
	return Key(expand(g.secret[:], string(info))), nil
}

// root is what the session goes on from.
func (g *generation) root() ([32]byte, error) {
	k, err := g.derive(labelRoot)
	return [32]byte(k), err
}

func (g *generation) erase() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.erased = true
	clear(g.secret[:])
}

// fit reports whether a carrier may join by g or turn to it.
func (g *generation) fit(now time.Time) bool {
	return g != nil && now.Sub(g.born) < GenerationLife && now.Sub(g.born) >= 0
}
