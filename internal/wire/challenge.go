package wire

import "encoding/base64"

// ChallengeCookie is the cookie by which the stream door's answer says the challenge of the carrier that begins, so
// that the carrier itself may say it later.
const ChallengeCookie = "visit"

// AnswerLen is the length of what an origin answers to an Agree that came with the request.
const AnswerLen = 73

// ChallengeText is a challenge as the cookie's value, and behind it the answer to an Agree that came with the request;
// nil: none did.
func ChallengeText(challenge [16]byte, answer []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(challenge[:], answer...))
}

// ParseChallenge is the challenge in a cookie's value, and the answer behind it, or nil; false if there is no challenge.
func ParseChallenge(text string) (challenge [16]byte, answer []byte, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		return challenge, nil, false
	case len(b) == len(challenge):
		return [16]byte(b), nil, true
	case len(b) == len(challenge)+AnswerLen:
		return [16]byte(b), b[len(challenge):], true
	}
	return challenge, nil, false
}
