package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestAChallengeIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := [16]byte{1, 2, 3, 255, 15: 9}
	for _, answer := range [][]byte{nil, bytes.Repeat([]byte{7}, AnswerLen)} {
		if got, behind, ok := ParseChallenge(ChallengeText(want, answer)); !ok || got != want || !bytes.Equal(behind, answer) {
			t.Errorf("got %x, %x and %v, want %x and %x", got, behind, ok, want, answer)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "less": strings.Repeat("A", 21), "more": strings.Repeat("A", 23), "other letters": strings.Repeat("+", 22),
		"bits that are left over": strings.Repeat("A", 21) + "B", "padding": strings.Repeat("A", 22) + "==",
		"a part of an answer": strings.Repeat("A", 118), "more than an answer": strings.Repeat("A", 120),
	} {
		if _, _, ok := ParseChallenge(text); ok {
			t.Errorf("%s: got a challenge, want none", name)
		}
	}
}
