package wire

import "encoding/base64"

// ChallengeCookie is the cookie by which the stream door's answer says the challenge of the carrier that begins, so
// that the carrier itself may say it later.
const ChallengeCookie = "visit"

// ChallengeText is a challenge as the cookie's value.
func ChallengeText(challenge [16]byte) string {
	return base64.RawURLEncoding.EncodeToString(challenge[:])
}

// ParseChallenge is the challenge in a cookie's value; false if there is none.
func ParseChallenge(text string) (challenge [16]byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(challenge) {
		return challenge, false
	}
	return [16]byte(b), true
}
