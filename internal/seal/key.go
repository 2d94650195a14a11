package seal

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"

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

// String is the key as base64url.
func (k PublicKey) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// hidden keeps the secrets of what embeds it out of logs, errors and JSON.
type hidden struct{}

const hiddenText = "[hidden key]"

func (hidden) String() string               { return hiddenText }
func (hidden) GoString() string             { return hiddenText }
func (hidden) Format(f fmt.State, _ rune)   { io.WriteString(f, hiddenText) }
func (hidden) LogValue() slog.Value         { return slog.StringValue(hiddenText) }
func (hidden) MarshalText() ([]byte, error) { return []byte(hiddenText), nil }

// String does not reveal the key.
func (PrivateKey) String() string { return hiddenText }

// GoString does not reveal the key.
func (PrivateKey) GoString() string { return hiddenText }

// Format does not reveal the key, whatever the verb.
func (PrivateKey) Format(f fmt.State, r rune) { hidden{}.Format(f, r) }

// LogValue does not reveal the key.
func (PrivateKey) LogValue() slog.Value { return hidden{}.LogValue() }

// MarshalText does not reveal the key.
func (PrivateKey) MarshalText() ([]byte, error) { return hidden{}.MarshalText() }
