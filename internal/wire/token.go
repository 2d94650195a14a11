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

// A Token is carried as TokenLen characters of base64url, which it fills to the last
// bit, so that no two spellings mean the same.
//
//	 0  version  1  2
//	 1  user     4
//	 5  time     4  Unix seconds, to the year 2106
//	 9  nonce   10  random, so that no two tokens are alike
//	19  gate    16  HMAC-SHA256 by the user's TokenKey over the bytes before it, cut
//	35  proof   16  HMAC-SHA256 by the user's ProofKey over the bytes before it, cut
type Token [51]byte

// TokenLen is the length of a token as text.
const TokenLen = 68

const (
	tokenVersion = 2
	nonceAt      = 9
	gateAt       = 19
	proofAt      = 35
	macLen       = 16
	tokenLabel   = "culvert token" // signed before the 4 bytes of a user's number: that user's TokenKey
)

var tokenText = base64.RawURLEncoding.Strict()

// ErrToken means that a token opens nothing. It never says why, and whoever brought
// the token is answered as if there had been none.
var ErrToken = errors.New("no valid token")

// NewToken makes a token of user's. now is by the clock for its front.
func NewToken(user uint32, gate TokenKey, proof [32]byte, now time.Time) (t Token) {
	t[0] = tokenVersion
	binary.BigEndian.PutUint32(t[1:], user)
	binary.BigEndian.PutUint32(t[5:], uint32(now.Unix()))
	rand.Read(t[nonceAt:gateAt])
	t.sign(gate, proof)
	return t
}

func (t *Token) sign(gate TokenKey, proof [32]byte) {
	copy(t[gateAt:proofAt], mac(gate[:], t[:gateAt]))
	copy(t[proofAt:], mac(proof[:], t[:proofAt]))
}

// Text is what a cookie holds.
func (t *Token) Text() string { return tokenText.EncodeToString(t[:]) }

// ParseToken reads what Text wrote. The error is ErrToken.
func ParseToken(s string) (t Token, err error) {
	if len(s) != TokenLen {
		return Token{}, ErrToken
	}
	if n, err := tokenText.Decode(t[:], []byte(s)); err != nil || n != len(t) || t[0] != tokenVersion {
		return Token{}, ErrToken
	}
	return t, nil
}

// MaxAhead bounds the first message of a carrier that comes with its token, in bytes.
const MaxAhead = 1200

// WithAhead is what the cookie holds at the stream door: a token, and the first message of the
// carrier that it opens; nil: that comes by the carrier.
func (t *Token) WithAhead(first []byte) string { return t.Text() + tokenText.EncodeToString(first) }

// CutAhead reads what WithAhead wrote: the token's text, and the first message. ok is false if
// there is something behind the token that is no message.
func CutAhead(s string) (token string, first []byte, ok bool) {
	if len(s) <= TokenLen {
		return s, nil, true
	}
	if tokenText.DecodedLen(len(s)-TokenLen) > MaxAhead {
		return "", nil, false
	}
	first, err := tokenText.DecodeString(s[TokenLen:])
	return s[:TokenLen], first, err == nil
}

// User is whose token it says it is.
func (t *Token) User() uint32 { return binary.BigEndian.Uint32(t[1:]) }

// Nonce tells tokens of one user apart: the first 8 bytes of theirs.
func (t *Token) Nonce() uint64 { return binary.BigEndian.Uint64(t[nonceAt:]) }

// Expires is when no verifier admits the token any more.
func (t *Token) Expires() time.Time { return t.time().Add(TokenLife) }

// Made is when the token says that it was made.
func (t *Token) Made() time.Time { return t.time() }

func (t *Token) time() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(t[5:])), 0) }

// Admit is all that a gate verifies. It believes nothing of the user.
func (t *Token) Admit(keys GateKeys, now time.Time) bool {
	_, ok := t.AdmittedBy(keys, now)
	return ok
}

// AdmittedBy is Admit, and says which of keys has signed the token; 0 if none has. It does the same work
// for every token, also for the zero one, so that its time tells nobody why one is refused.
func (t *Token) AdmittedBy(keys GateKeys, now time.Time) (by KeyNumber, ok bool) {
	signed := false
	for i, k := range keys {
		gate := k.TokenKey(t.User())
		if hmac.Equal(mac(gate[:], t[:gateAt]), t[gateAt:proofAt]) {
			by, signed = KeyNumber(i), true
		}
	}
	return by, signed && t[0] == tokenVersion && now.Sub(t.time()).Abs() <= TokenLife
}

// Proved reports whether the user has made the token. An origin asks it of what Admit
// lets in, with the ProofKey of each master secret that it accepts.
func (t *Token) Proved(proof [32]byte) bool {
	return hmac.Equal(mac(proof[:], t[:proofAt]), t[proofAt:])
}

func mac(key, message []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write(message)
	return m.Sum(nil)[:macLen]
}

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
