// Package seal holds the keys of links and origins: an origin's master secret, from
// which all others follow, what a link holds of them, and the Pair of static keys by
// which the two ends prove themselves to each other. Package session makes of a Pair
// the keys that seal records; see internal/wire/PROTOCOL.md.
package seal

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"culvert/internal/wire"
)

// PublicKey is an X25519 public key.
type PublicKey [32]byte

// PrivateKey is an X25519 private key. It shows itself to nobody: whoever must
// write it down converts it to bytes first.
type PrivateKey [32]byte

// ClientKeys is what a link holds for one user.
type ClientKeys struct {
	User    uint32
	Private PrivateKey    // proves the user to the origin
	Origin  PublicKey     // proves the origin to the user
	Token   wire.TokenKey // opens the gate
}

// Hidden keeps the secrets of what embeds it out of logs, errors and JSON.
type Hidden struct{}

const hiddenText = "[hidden key]"

// Format is asked for all verbs, before String and GoString would be.
func (Hidden) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenText) }

// MarshalText is what encoders ask, those of package slog too.
func (Hidden) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

// Format does not reveal the key.
func (PrivateKey) Format(f fmt.State, r rune) { Hidden{}.Format(f, r) }

// MarshalText does not reveal the key.
func (PrivateKey) MarshalText() ([]byte, error) { return Hidden{}.MarshalText() }

// Master is the origin's one secret, 32 random bytes. Every other key follows
// from it and a user's number, so the origin stores nothing. Where gates have a
// secret of their own, WithGate adds its key.
type Master struct {
	Hidden
	secret [32]byte
	gate   wire.GateKey // zero: follows from secret
}

const masterPrefix = "culvert-secret-1:"

// What AWS Secrets Manager makes when it is told to leave punctuation out is
// hashed behind a label.
const (
	generatedLabel   = "culvert master secret "
	generatedLen     = 64
	generatedLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// maxMasters bounds the generations of a secret that are accepted at once.
const maxMasters = 4

var masterText = base64.RawURLEncoding.Strict()

var errMaster = errors.New("not a master secret, nor up to 4 of them, one a line, the newest first: make one with `culvert link secret`")

// NewMaster makes a secret for a new origin.
func NewMaster() (m Master) {
	rand.Read(m.secret[:])
	return m
}

// ParseMaster reads what Text wrote, or 64 letters and digits, with white
// space around it or none. The error says what to do and holds nothing of text.
func ParseMaster(text string) (m Master, err error) {
	text = strings.TrimSpace(text)
	if len(text) == generatedLen && strings.Trim(text, generatedLetters) == "" {
		return Master{secret: sha256.Sum256([]byte(generatedLabel + text))}, nil
	}
	encoded, ok := strings.CutPrefix(text, masterPrefix)
	secret, err := masterText.DecodeString(encoded)
	if !ok || err != nil || len(encoded) != masterText.EncodedLen(len(m.secret)) || len(secret) != len(m.secret) {
		return Master{}, errMaster
	}
	return Master{secret: [32]byte(secret)}, nil
}

// ParseMasters reads 1 to 4 secrets with white space between, the newest first.
func ParseMasters(text string) (masters []Master, err error) {
	for _, word := range strings.Fields(text) {
		m, err := ParseMaster(word)
		if err != nil || len(masters) == maxMasters {
			return nil, errMaster
		}
		masters = append(masters, m)
	}
	if len(masters) == 0 {
		return nil, errMaster
	}
	return masters, nil
}

// Text is the secret itself, as a file or the standard input holds it,
// without what WithGate added.
func (m Master) Text() string { return masterPrefix + masterText.EncodeToString(m.secret[:]) }

// WithGate is m for gates that have a secret of their own, whose key is k.
func (m Master) WithGate(k wire.GateKey) Master {
	m.gate = k
	return m
}

// GateKey verifies tokens. No key of a carrier follows from it.
func (m Master) GateKey() wire.GateKey {
	if m.gate != (wire.GateKey{}) {
		return m.gate
	}
	return m.derive("culvert 2 gate")
}

// Client is what a link holds for user.
func (m Master) Client(user uint32) ClientKeys {
	return ClientKeys{user, m.clientPrivate(user), m.originPrivate().public(), m.GateKey().TokenKey(user)}
}

// Pair is the origin's for user.
func (m Master) Pair(user uint32) *Pair { return m.Pairs().Of(user) }

// Pairs makes an origin's pairs, which have its key in common.
type Pairs struct {
	Hidden
	master  Master
	private *ecdh.PrivateKey
}

// Pairs are those of all users. To make them costs a key of the curve.
func (m Master) Pairs() Pairs { return Pairs{master: m, private: m.originPrivate().key()} }

// Of is the pair of a user. It costs another key of the curve and a shared secret.
func (p Pairs) Of(user uint32) *Pair {
	client := p.master.clientPrivate(user).public()
	return Must(newPair(p.private, client, PublicKey(p.private.PublicKey().Bytes()), client))
}

func (m Master) originPrivate() PrivateKey { return m.derive("culvert 2 origin") }

func (m Master) clientPrivate(user uint32) PrivateKey {
	return m.derive("culvert 2 client" + string(binary.BigEndian.AppendUint32(nil, user)))
}

// derive is HKDF-SHA256 (RFC 5869) without a salt, as the secret is uniform already. No
// label is the beginning of another. To change one is to break every link that was handed out.
func (m Master) derive(label string) [32]byte {
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, label, 32)
	return [32]byte(Must(key, err))
}
