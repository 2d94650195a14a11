package session

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/flynn/noise"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// The labels of what is derived here, none the beginning of another of one secret.
const (
	labelPrologue = "culvert 2"
	labelAgree    = "culvert 2 agree"
	labelEarly    = "culvert 2 early"
	labelName     = "culvert 2 name"
	labelRoot     = "culvert 2 root"
	labelUp       = "culvert 2 up"
	labelDown     = "culvert 2 down"
)

// place is where an Agree stands. It means something there alone.
type place struct {
	inside bool // a record
	door   Door
	token  wire.Token
	o      [16]byte // zero: no Challenge, or the gateway door
}

func (at *place) prologue() []byte {
	b := append([]byte(labelPrologue), bit(at.inside), byte(at.door))
	return append(append(b, at.token[:]...), at.o[:]...)
}

// mac is what the body of an Agree begins with.
func (at *place) mac(p *seal.Pair, message []byte) []byte {
	key := p.AgreeKey()
	m := hmac.New(sha256.New, key[:])
	m.Write([]byte(labelAgree))
	m.Write(at.prologue())
	m.Write(message)
	return m.Sum(nil)[:macLen]
}

// try is a client's Agree that has not been answered.
type try struct {
	hs      *noise.HandshakeState
	hello   hello
	root    [32]byte // zero: the session is to begin
	inside  bool
	made    time.Time // by the wall clock, which goes on while a phone sleeps
	message []byte    // the body of the Agree
}

// finish reads the body of an Agreed. A try that failed may be finished by another.
func (t *try) finish(body []byte) (*generation, answer, error) {
	plain, first, second, err := t.hs.ReadMessage(nil, body)
	if err != nil {
		return nil, answer{}, ErrProof
	}
	a, err := parse[answer](plain)
	if err != nil || a.known() && !t.hello.goesOn() || !a.known() && t.inside {
		return nil, answer{}, ErrProof
	}
	root := t.root
	if !a.known() {
		root = [32]byte{}
	}
	g := newGeneration(t.hs, first, second, root, t.hello)
	g.born = t.made
	return g, a, nil
}

// earlyKey seals what follows an Agree before its answer has come.
func earlyKey(h hello, root [32]byte) *key {
	prk, err := hkdf.Extract(sha256.New, h.E[:], root[:])
	return &key{cipher: h.cipher(), secret: expand(must(prk, err), labelEarly)}
}

func expand(prk []byte, info string) [32]byte {
	out, err := hkdf.Expand(sha256.New, prk, info, 32)
	return [32]byte(must(out, err)) // only for lengths that are out of range
}

// generation is a secret that both ends have agreed on.
type generation struct {
	seal.Hidden
	j      byte
	cipher Cipher
	first  bool      // it comes from no root: a session begins with it
	born   time.Time // client: when it asked, so that it is older there than at the origin
	name   [8]byte

	mu     sync.Mutex // guards the following
	erased bool
	secret [32]byte

	session *Session // origin
	proved  bool     // origin: a record under it has opened; guarded by Origin.mu
	joins   Window   // origin: the n that have proved themselves; guarded by Origin.mu
	joined  uint32   // client: the last n; guarded by Client.mu
}

// newGeneration derives from the two keys and the last hash of a handshake, and from the
// session's root, which is zero for one that begins.
func newGeneration(hs *noise.HandshakeState, first, second *noise.CipherState, root [32]byte, h hello) *generation {
	k1, k2 := first.UnsafeKey(), second.UnsafeKey()
	both := slices.Concat(k1[:], k2[:], root[:])
	defer clear(both)
	prk, err := hkdf.Extract(sha256.New, both, hs.ChannelBinding())
	g := &generation{j: h.J, cipher: h.cipher(), first: root == [32]byte{}, secret: [32]byte(must(prk, err))}
	name := expand(g.secret[:], labelName)
	g.name = [8]byte(name[:])
	return g
}

// derive fails when the generation is erased.
func (g *generation) derive(label string, context ...[]byte) ([32]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.erased {
		return [32]byte{}, ErrOrder
	}
	return expand(g.secret[:], label+string(slices.Concat(context...))), nil
}

func (g *generation) erase() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.erased = true
	clear(g.secret[:])
}

// fit reports whether a client may join by g or turn to it.
func (g *generation) fit(now time.Time) bool {
	return g != nil && now.Sub(g.born) < GenerationLife && now.Sub(g.born) >= 0
}

// maxGenerations bounds those of one session. Only carriers that agree at the same time
// make more than three.
const maxGenerations = 16

// generations are those of one session that are not erased, the oldest first. Whoever has
// the session's lock may use them. Time alone erases them: a carrier that is slow may yet
// turn to one after others have turned to a later.
type generations []*generation

// find is by the number; nil if there is none.
func (s generations) find(j byte) *generation {
	for _, g := range slices.Backward(s) {
		if g.j == j {
			return g
		}
	}
	return nil
}

// add keeps g. Among too many the oldest goes, of those that have proved nothing if there are any.
func (s *generations) add(g *generation, now time.Time) {
	s.expire(now)
	if *s = append(*s, g); len(*s) <= maxGenerations {
		return
	}
	over := max(slices.IndexFunc(*s, func(g *generation) bool { return !g.proved }), 0)
	s.erase(func(g *generation) bool { return g == (*s)[over] })
}

// expire erases those whose time is over.
func (s *generations) expire(now time.Time) {
	s.erase(func(g *generation) bool { return now.Sub(g.born) >= GenerationKept })
}

// erase erases and forgets those that are over.
func (s *generations) erase(over func(*generation) bool) {
	*s = slices.DeleteFunc(*s, func(g *generation) bool {
		if over(g) {
			g.erase()
			return true
		}
		return false
	})
}
