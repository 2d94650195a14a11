package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"strings"
)

// gateSecretLen is the length of a gate secret, letters and digits: what AWS
// Secrets Manager makes when it is told to leave punctuation out.
const gateSecretLen = 64

// What is derived from a gate key has one of these labels. None is the beginning of
// another.
const (
	gateLabel   = "culvert gate secret " // hashed before the text of a gate secret
	handedLabel = "culvert handed"
	ticketLabel = "culvert ticket"
	siteLabel   = "culvert website"
)

// maxGateKeys bounds the generations of a secret that are accepted at once.
const maxGateKeys = 4

// GateKeys are the gate keys that are accepted, the newest first. The first makes
// what others verify.
type GateKeys []GateKey

// KeyNumber is the place of a key in GateKeys. It means something beside those keys alone.
type KeyNumber int

// ErrGateSecret means that a text is no gate secret. It holds nothing of it.
var ErrGateSecret = errors.New("not a gate secret: one is 64 letters and digits, and there are 1 to 4 of them, the newest first")

// ParseGateKeys reads gate secrets with white space between. The key of a
// secret is SHA-256 of "culvert gate secret " and its text. An error is
// ErrGateSecret.
func ParseGateKeys(text string) (GateKeys, error) {
	words := strings.Fields(text)
	if len(words) == 0 || len(words) > maxGateKeys {
		return nil, ErrGateSecret
	}
	keys := make(GateKeys, len(words))
	for i, w := range words {
		if !isSecret(w) {
			return nil, ErrGateSecret
		}
		keys[i] = sha256.Sum256([]byte(gateLabel + w))
	}
	return keys, nil
}

func isSecret(s string) bool {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
	return plain && len(s) == gateSecretLen
}

// Website is a number below 1<<24, by which deployments differ in the website that they show. It tells nothing of g.
func (g GateKey) Website() uint32 {
	d := g.derive(siteLabel)
	return uint32(d[0])<<16 | uint32(d[1])<<8 | uint32(d[2])
}

func (g GateKey) derive(label string) []byte {
	mac := hmac.New(sha256.New, g[:])
	mac.Write([]byte(label))
	return mac.Sum(nil)
}
