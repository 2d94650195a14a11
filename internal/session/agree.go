package session

import (
	"crypto/hmac"
	"crypto/subtle"
	"culvert/internal/wire"
	"io"

	"github.com/flynn/noise"
)

// place is where an Agree stands. It means something there alone.
type place struct {
	inside bool // a record
	door   Door
	token  wire.Token
	o      [16]byte // zero: no Challenge, or the gateway door
}

func (p *place) prologue() []byte {
	b := append([]byte(labelPrologue), bit(p.inside), byte(p.door))
	return append(append(b, p.token[:]...), p.o[:]...)
}

func (p *Pair) noise(initiator bool, at *place, random io.Reader) (*noise.HandshakeState, error) {
	c := noise.Config{
		CipherSuite: p.suite, Pattern: noise.HandshakeIK, Initiator: initiator, Prologue: at.prologue(), Random: random,
		StaticKeypair: noise.DHKey{Private: p.private[:], Public: p.public[:]},
	}
	if initiator {
		c.PeerStatic = p.peer[:]
	}
	return noise.NewHandshakeState(c)
}

// try is a client's Agree that has not been answered.
type try struct {
	hs      *noise.HandshakeState
	hello   hello
	root    [32]byte
	epoch   int
	inside  bool
	message []byte
}

// try makes an Agree's body.
func (p *Pair) try(h hello, at place, random io.Reader) (*try, error) {
	hs, err := p.noise(true, &at, random)
	if err != nil {
		return nil, ErrProof
	}
	sealed, _, _, err := hs.WriteMessage(nil, h.append(make([]byte, 0, helloLen)))
	if err != nil {
		return nil, ErrProof
	}
	return &try{hs: hs, hello: h, inside: at.inside, message: append(p.mac(at.prologue(), sealed), sealed...)}, nil
}

// finish reads an Agreed's body. A try that failed may be finished by another.
func (t *try) finish(body []byte) (*generation, answer, error) {
	plain, first, second, err := t.hs.ReadMessage(nil, body)
	if err != nil {
		return nil, answer{}, ErrProof
	}
	a, err := parseAnswer(plain)
	if err != nil || a.known && !t.hello.on || !a.known && t.inside {
		return nil, answer{}, ErrProof
	}
	g := derived(t.hs, first, second, a.known, &t.root)
	g.j, g.cipher = t.hello.j, t.hello.cipher
	return g, a, nil
}

// derived leaves the root out unless the session goes on.
func derived(hs *noise.HandshakeState, first, second *noise.CipherState, on bool, root *[32]byte) *generation {
	if !on {
		root = new([32]byte)
	}
	g := newGeneration(hs.ChannelBinding(), first.UnsafeKey(), second.UnsafeKey(), root)
	g.first = !on
	return g
}

// genuine costs a hash: garbage and what was made for another carrier go no further.
func (p *Pair) genuine(body []byte, at *place) bool {
	return len(body) == agreeLen && hmac.Equal(body[:macLen], p.mac(at.prologue(), body[macLen:]))
}

// read opens an Agree's body that is genuine, at the origin.
func (p *Pair) read(body []byte, at *place, random io.Reader) (*noise.HandshakeState, hello, error) {
	hs, err := p.noise(false, at, random)
	if err != nil {
		return nil, hello{}, ErrProof
	}
	plain, _, _, err := hs.ReadMessage(nil, body[macLen:])
	if err != nil || subtle.ConstantTimeCompare(hs.PeerStatic(), p.peer[:]) != 1 {
		return nil, hello{}, ErrProof
	}
	h, err := parseHello(plain)
	return hs, h, err
}

// reply makes an Agreed's body and the generation.
func reply(hs *noise.HandshakeState, h hello, a answer, root *[32]byte) ([]byte, *generation, error) {
	body, first, second, err := hs.WriteMessage(nil, a.append(make([]byte, 0, answerLen)))
	if err != nil {
		return nil, nil, ErrProof
	}
	g := derived(hs, first, second, a.known, root)
	g.j, g.cipher = h.j, h.cipher
	return body, g, nil
}

// carrierID is what a carrier's keys are bound to.
//
//	 0  cipher   1  0 AES-256-GCM, 1 ChaCha20-Poly1305
//	 1  door     1  1 stream, 2 gateway
//	 2  g        8  the generation that it joined by, or agreed on
//	10  n        4  of its Join; 0 if it agreed
//	14  c       16  of its Join; 0 if it agreed
//	30  token   51  that opened it, as bytes
func carrierID(cipher Cipher, at *place, j join) []byte {
	b := append(make([]byte, 0, 2+joinLen+TokenLen), byte(cipher), byte(at.door))
	return append(j.append(b), at.token[:]...)
}
