package wire

import (
	"strings"
	"testing"
)

func TestAChallengeIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := [16]byte{1, 2, 3, 255, 15: 9}
	if got, ok := ParseChallenge(ChallengeText(want)); !ok || got != want {
		t.Errorf("got %x and %v, want %x", got, ok, want)
	}
	for name, text := range map[string]string{
		"nothing": "", "less": strings.Repeat("A", 21), "more": strings.Repeat("A", 23), "other letters": strings.Repeat("+", 22),
		"bits that are left over": strings.Repeat("A", 21) + "B", "padding": strings.Repeat("A", 22) + "==",
	} {
		if _, ok := ParseChallenge(text); ok {
			t.Errorf("%s: got a challenge, want none", name)
		}
	}
}
