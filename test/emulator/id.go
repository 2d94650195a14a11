package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
)

// An id of a connection, a request or a message is 11 bytes as 16 characters,
// the last of them "=", as in recorded events.
const (
	idLen     = 11
	idTextLen = 16
	idRandom  = 7
)

// ids makes the ids of connections. They prove that they were given out, so
// that an id without a connection is either closed (410) or never was (403)
// without a list of all that ever were.
type ids [16]byte

func newIDs() (key ids) {
	rand.Read(key[:])
	return key
}

func (key *ids) next() string {
	var b [idLen]byte
	rand.Read(b[:idRandom])
	key.prove(&b)
	return base64.URLEncoding.EncodeToString(b[:])
}

// gaveOut tells whether next once returned id.
func (key *ids) gaveOut(id string) bool {
	given, err := base64.URLEncoding.DecodeString(id)
	if err != nil || len(given) != idLen {
		return false
	}
	want := [idLen]byte(given)
	key.prove(&want)
	return subtle.ConstantTimeCompare(given, want[:]) == 1
}

// prove puts the proof of the random bytes behind them.
func (key *ids) prove(b *[idLen]byte) {
	h := hmac.New(sha256.New, key[:])
	h.Write(b[:idRandom])
	copy(b[idRandom:], h.Sum(nil))
}

// newID names a request or a message.
func newID() string {
	var b [idLen]byte
	rand.Read(b[:])
	return base64.URLEncoding.EncodeToString(b[:])
}

// newUUID names an invocation.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
