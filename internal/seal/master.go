package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"

	"culvert/internal/wire"
)

// Master is the origin's one secret, 32 random bytes. Every other key follows
// from it and a user's number, so the origin stores nothing. Where gates have a
// secret of their own, WithGate adds its key.
type Master struct {
	hidden
	secret [32]byte
	gate   wire.GateKey // zero: follows from secret
}

// The labels of what is derived, none the beginning of another. To change one
// is to break every link that was handed out.
const (
	labelOrigin = "culvert 1 origin"
	labelClient = "culvert 1 client" // before the 4 bytes of a user's number
	labelGate   = "culvert 1 gate"
)

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

var (
	errMaster  = errors.New("not a master secret: make one with `culvert link secret`")
	errMasters = errors.New("not 1 to 4 master secrets, one a line, the newest first: make one with `culvert link secret`")
)

// NewMaster makes a secret for a new origin.
func NewMaster() Master {
	var m Master
	rand.Read(m.secret[:])
	return m
}

// ParseMaster reads what Text wrote, or 64 letters and digits, with white
// space around it or none. The error says what to do and holds nothing of text.
func ParseMaster(text string) (Master, error) {
	text = strings.TrimSpace(text)
	if len(text) == generatedLen && strings.Trim(text, generatedLetters) == "" {
		return Master{secret: sha256.Sum256([]byte(generatedLabel + text))}, nil
	}
	var m Master
	encoded, ok := strings.CutPrefix(text, masterPrefix)
	if !ok || len(encoded) != masterText.EncodedLen(len(m.secret)) {
		return Master{}, errMaster
	}
	if n, err := masterText.Decode(m.secret[:], []byte(encoded)); err != nil || n != len(m.secret) {
		return Master{}, errMaster
	}
	return m, nil
}

// ParseMasters reads 1 to 4 secrets with white space between, the newest first.
func ParseMasters(text string) ([]Master, error) {
	words := strings.Fields(text)
	if len(words) == 1 {
		m, err := ParseMaster(text)
		if err != nil {
			return nil, err
		}
		return []Master{m}, nil
	}
	var masters []Master
	for _, w := range words {
		m, err := ParseMaster(w)
		if err != nil || len(masters) == maxMasters {
			return nil, errMasters
		}
		masters = append(masters, m)
	}
	if masters == nil {
		return nil, errMaster
	}
	return masters, nil
}

// Text is the secret itself, as a file or an environment variable holds it,
// without what WithGate added.
func (m Master) Text() string { return masterPrefix + masterText.EncodeToString(m.secret[:]) }

// OriginPublic is the key that every link names.
func (m Master) OriginPublic() PublicKey { return m.originPrivate().public() }

// WithGate is m for gates that have a secret of their own, whose key is k.
func (m Master) WithGate(k wire.GateKey) Master {
	m.gate = k
	return m
}

// GateKey verifies tokens. No key of a tunnel follows from it.
func (m Master) GateKey() wire.GateKey {
	if m.gate != (wire.GateKey{}) {
		return m.gate
	}
	return wire.GateKey(m.derive(labelGate))
}

// Client is what a link holds for user.
func (m Master) Client(user uint32) ClientKeys {
	return ClientKeys{
		User:    user,
		Private: m.clientPrivate(user),
		Origin:  m.OriginPublic(),
		Token:   m.GateKey().TokenKey(user),
	}
}

func (m Master) originPrivate() PrivateKey { return PrivateKey(m.derive(labelOrigin)) }

func (m Master) clientPrivate(user uint32) PrivateKey {
	info := binary.BigEndian.AppendUint32([]byte(labelClient), user)
	return PrivateKey(m.derive(string(info)))
}

// derive is HKDF-SHA256 (RFC 5869) of the secret, without salt as the secret
// is uniform already.
func (m Master) derive(info string) [32]byte {
	key, err := hkdf.Key(sha256.New, m.secret[:], nil, info, 32)
	if err != nil {
		panic(err) // only for lengths that are out of range
	}
	return [32]byte(key)
}
