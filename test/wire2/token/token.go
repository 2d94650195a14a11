// Package token is what lets a carrier in: made once by a client, admitted by whoever
// holds the gate's key, believed by the origin alone, and taken once.
// test/wire2/PROTOCOL.md has the rules.
package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"culvert/internal/wire"
)

// A Token is carried as TextLen characters of base64url, which it fills to the last
// bit, so that no two spellings mean the same.
//
//	 0  version  1  2
//	 1  user     4
//	 5  time     4  Unix seconds, to the year 2106
//	 9  nonce   10  random, so that no two tokens are alike
//	19  gate    16  HMAC-SHA256 by the user's TokenKey over the bytes before it, cut
//	35  proof   16  HMAC-SHA256 by the user's ProofKey over the bytes before it, cut
type Token [51]byte

// TextLen is the length of a token as text.
const TextLen = 68

// Life is how far a token's time may be from the verifier's, either way.
const Life = 5 * time.Minute

const (
	version = 2
	nonceAt = 9
	gateAt  = 19
	proofAt = 35
	macLen  = 16
)

var text = base64.RawURLEncoding.Strict()

// ErrToken means that a token opens nothing. It never says why, and whoever brought
// the token is answered as if there had been none.
var ErrToken = errors.New("no valid token")

// New makes a token of user's. now is by the clock for its front.
func New(user uint32, gate wire.TokenKey, proof [32]byte, now time.Time) (t Token) {
	t[0] = version
	binary.BigEndian.PutUint32(t[1:], user)
	binary.BigEndian.PutUint32(t[5:], uint32(now.Unix()))
	rand.Read(t[nonceAt:gateAt])
	t.sign(gate, proof)
	return t
}

func (t *Token) sign(gate wire.TokenKey, proof [32]byte) {
	copy(t[gateAt:proofAt], mac(gate[:], t[:gateAt]))
	copy(t[proofAt:], mac(proof[:], t[:proofAt]))
}

// Text is what a cookie holds.
func (t *Token) Text() string { return text.EncodeToString(t[:]) }

// Parse reads what Text wrote. The error is ErrToken.
func Parse(s string) (t Token, err error) {
	if len(s) != TextLen {
		return Token{}, ErrToken
	}
	if n, err := text.Decode(t[:], []byte(s)); err != nil || n != len(t) || t[0] != version {
		return Token{}, ErrToken
	}
	return t, nil
}

// User is whose token it says it is.
func (t *Token) User() uint32 { return binary.BigEndian.Uint32(t[1:]) }

func (t *Token) time() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(t[5:])), 0) }

// Admit is all that a gate verifies. It believes nothing of the user.
func (t *Token) Admit(keys wire.GateKeys, now time.Time) bool {
	if now.Sub(t.time()).Abs() > Life {
		return false
	}
	for _, k := range keys {
		gate := k.TokenKey(t.User())
		if hmac.Equal(mac(gate[:], t[:gateAt]), t[gateAt:proofAt]) {
			return true
		}
	}
	return false
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
