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
// from it and a user's number, so the origin stores nothing.
type Master struct {
	hidden
	secret [32]byte
}

// The labels of what is derived, none the beginning of another. To change one
// is to break every link that was handed out.
const (
	labelOrigin = "culvert 1 origin"
	labelClient = "culvert 1 client" // before the 4 bytes of a user's number
	labelGate   = "culvert 1 gate"
)

const masterPrefix = "culvert-secret-1:"

var masterText = base64.RawURLEncoding.Strict()

var errMaster = errors.New("not a master secret: make one with `culvert link secret`")

// NewMaster makes a secret for a new origin.
func NewMaster() Master {
	var m Master
	rand.Read(m.secret[:])
	return m
}

// ParseMaster reads what Text wrote, with white space around it or none. The
// error says what to do and holds nothing of text.
func ParseMaster(text string) (Master, error) {
	var m Master
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), masterPrefix)
	if !ok || len(encoded) != masterText.EncodedLen(len(m.secret)) {
		return Master{}, errMaster
	}
	if n, err := masterText.Decode(m.secret[:], []byte(encoded)); err != nil || n != len(m.secret) {
		return Master{}, errMaster
	}
	return m, nil
}

// Text is the secret itself, as a file or an environment variable holds it.
func (m Master) Text() string { return masterPrefix + masterText.EncodeToString(m.secret[:]) }

// OriginPublic is the key that every link names.
func (m Master) OriginPublic() PublicKey { return m.originPrivate().public() }

// GateKey verifies tokens. No key of a tunnel follows from it.
func (m Master) GateKey() wire.GateKey { return wire.GateKey(m.derive(labelGate)) }

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
