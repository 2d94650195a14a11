package session

import (
	"crypto/hkdf"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// place is where an Agree stands. It means something there alone.
type place struct {
	inside bool // a record
	ahead  bool // the request for the carrier, before there is a challenge
	door   Door
	token  wire.Token
	o      [16]byte // zero: no Challenge, or the gateway door
}

func (at *place) prologue() []byte {
	b := append([]byte("culvert 2"), bit(at.inside)|bit(at.ahead)<<1, byte(at.door))
	return append(append(b, at.token[:]...), at.o[:]...)
}

// mac is what the body of an Agree begins with, before a Noise message.
func (at *place) mac(p *seal.Pair, message []byte) []byte {
	return p.MAC("culvert 2 agree key", []byte("culvert 2 agree"), at.prologue(), message)[:macLen]
}

// earlyKey seals what follows an Agree before its answer has come.
func earlyKey(h *hello, root [32]byte) *key {
	prk := seal.Must(hkdf.Extract(sha256.New, h.e[:], root[:]))
	return &key{name: early, cipher: h.cipher(), secret: seal.Expand(prk, "culvert 2 early")}
}

// generation is a secret that both ends have agreed on.
type generation struct {
	seal.Hidden
	j      byte
	cipher Cipher
	first  bool      // it comes from no root: a session begins with it
	born   time.Time // client: when it asked, so that it is older there than at the origin
	asked  uint64    // client: how many tries came before; clocks are set back
	name   [8]byte

	mu     sync.Mutex // guards the following
	secret [32]byte   // zero: erased

	// Origin.mu, or Client.mu, guards the following.
	session *Session // origin
	joins   Window   // origin: the n that have proved themselves
	joined  uint32   // client: the last n
	proved  bool     // origin: a record under it has opened
}

// newGeneration derives from the two keys and the last hash of a handshake, and from the
// session's root, which is zero for one that begins.
func newGeneration(hs *noise.HandshakeState, first, second *noise.CipherState, root [32]byte, h *hello, born time.Time) *generation {
	k1, k2 := first.UnsafeKey(), second.UnsafeKey()
	both := slices.Concat(k1[:], k2[:], root[:])
	defer clear(both)
	secret := seal.Must(hkdf.Extract(sha256.New, both, hs.ChannelBinding()))
	name := seal.Expand(secret, "culvert 2 name")
	return &generation{
		j: h.j, cipher: h.cipher(), first: root == [32]byte{}, born: born, secret: [32]byte(secret), name: [8]byte(name[:]),
	}
}

// derive fails when the generation is erased.
func (g *generation) derive(label string, context ...byte) ([32]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.secret == [32]byte{} {
		return [32]byte{}, ErrOrder
	}
	return seal.Expand(g.secret[:], label+string(context)), nil
}

// erase may be called on nil.
func (g *generation) erase() {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.secret[:])
}

// fit reports whether a client may join by g, which may be nil, or turn to it.
func (g *generation) fit(now time.Time) bool {
	return g != nil && now.Sub(g.born) < GenerationLife && now.Sub(g.born) >= 0
}
