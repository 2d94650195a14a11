package wire

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// TokenLen is the length of a token: the bytes below as base64url, which
// cookies, paths and headers carry as they are. As 33 bytes fill 44 characters
// to the last bit, no two spellings mean the same token.
//
//	 0  version  1  1
//	 1  user     4
//	 5  time     4  Unix seconds, to the year 2106
//	 9  nonce    8  random, so that no two tokens are alike
//	17  mac     16  HMAC-SHA256 by the user's TokenKey over the bytes before it, cut
//
// All numbers are big-endian. A verifier needs HMAC-SHA256 and base64url and
// no number above 2^32, so that a CloudFront Function can be one.
const TokenLen = 44

const (
	tokenVersion = 1
	tokenSigned  = 17
	tokenRaw     = tokenSigned + 16
	tokenLabel   = "culvert token" // signed before the 4 bytes of a user's number: that user's TokenKey
)

// tokenText refuses spare bits; the length of a token leaves no room for them.
var tokenText = base64.RawURLEncoding.Strict()

// ErrToken means the token opens nothing. It never says why, and whoever
// brought the token is answered as if there had been none.
var ErrToken = errors.New("no valid token")

// GateKey verifies tokens and makes every user's TokenKey. Gates and the
// origin hold it. It opens no tunnel: no key of the seal follows from it.
type GateKey [32]byte

// TokenKey signs one user's tokens. A link holds it.
type TokenKey [16]byte

// TokenKey is HMAC-SHA256 by g over "culvert token" and the 4 bytes of the
// user's number, cut to 16 bytes.
func (g GateKey) TokenKey(user uint32) TokenKey {
	mac := hmac.New(sha256.New, g[:])
	mac.Write(binary.BigEndian.AppendUint32([]byte(tokenLabel), user))
	return TokenKey(mac.Sum(nil)[:len(TokenKey{})])
}

// NewToken makes a token that is good for TokenLife around now, the user's
// idea of the origin's time.
func NewToken(user uint32, key TokenKey, now time.Time) string {
	raw := make([]byte, tokenSigned, tokenRaw)
	raw[0] = tokenVersion
	binary.BigEndian.PutUint32(raw[1:], user)
	binary.BigEndian.PutUint32(raw[5:], uint32(now.Unix()))
	rand.Read(raw[9:])
	return tokenText.EncodeToString(append(raw, key.sign(raw)...))
}

// Verify says whose token this is. Any error is ErrToken. A token may be used
// more than once: what it opens proves more before it learns more.
func (g GateKey) Verify(token string, now time.Time) (user uint32, err error) {
	if len(token) != TokenLen {
		return 0, ErrToken
	}
	var raw [tokenRaw]byte
	if n, err := tokenText.Decode(raw[:], []byte(token)); err != nil || n != tokenRaw {
		return 0, ErrToken
	}
	user = binary.BigEndian.Uint32(raw[1:])
	genuine := hmac.Equal(g.TokenKey(user).sign(raw[:tokenSigned]), raw[tokenSigned:])
	made := time.Unix(int64(binary.BigEndian.Uint32(raw[5:])), 0)
	if age := now.Sub(made).Abs(); !genuine || raw[0] != tokenVersion || age > TokenLife {
		return 0, ErrToken
	}
	return user, nil
}

func (k TokenKey) sign(b []byte) []byte {
	mac := hmac.New(sha256.New, k[:])
	mac.Write(b)
	return mac.Sum(nil)[:tokenRaw-tokenSigned]
}

// hiddenKey is what logs, errors and JSON show of a key. Whoever must write a
// key down converts it to bytes first.
const hiddenKey = "[hidden key]"

// String does not reveal the key.
func (GateKey) String() string { return hiddenKey }

// Format does not reveal the key, whatever the verb.
func (GateKey) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenKey) }

// MarshalText does not reveal the key.
func (GateKey) MarshalText() ([]byte, error) { return []byte(hiddenKey), nil }

// String does not reveal the key.
func (TokenKey) String() string { return hiddenKey }

// Format does not reveal the key, whatever the verb.
func (TokenKey) Format(f fmt.State, _ rune) { io.WriteString(f, hiddenKey) }

// MarshalText does not reveal the key.
func (TokenKey) MarshalText() ([]byte, error) { return []byte(hiddenKey), nil }
