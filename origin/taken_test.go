package origin

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
)

var takenAt = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func newTakenToken(user uint32, now time.Time) wire.Token {
	return wire.NewToken(user, wire.TokenKey{}, [32]byte{}, now)
}

func TestATokenIsTakenOnce(t *testing.T) {
	t.Parallel()
	k := newTakenTokens()
	a, b := newTakenToken(7, takenAt), newTakenToken(7, takenAt)
	if !k.take(&a, "", takenAt) || !k.take(&b, "", takenAt) || k.take(&a, "", takenAt.Add(wire.TokenLife)) {
		t.Error("a token was taken twice, or not once")
	}
	for range maxTaken - 2 {
		other := newTakenToken(7, takenAt)
		k.take(&other, "", takenAt)
	}
	if k.take(&b, "", takenAt) {
		t.Error("a token was forgotten before maxTaken others came")
	}
	for range 2 {
		other := newTakenToken(7, takenAt)
		k.take(&other, "", takenAt)
	}
	if n := len(k.users[7].all); n != maxTaken {
		t.Errorf("got %d, want %d", n, maxTaken)
	}
}

func TestAUserFillsNobodyElsesMemory(t *testing.T) {
	t.Parallel()
	k := newTakenTokens()
	mine := newTakenToken(7, takenAt)
	k.take(&mine, "", takenAt)
	for range 2 * maxTaken {
		other := newTakenToken(8, takenAt)
		k.take(&other, "", takenAt)
	}
	if k.take(&mine, "", takenAt) {
		t.Error("another user's tokens pushed mine out")
	}
}

func TestTokensAreForgottenWhenNobodyAdmitsThem(t *testing.T) {
	t.Parallel()
	k := newTakenTokens()
	for i := range 10 * maxTaken {
		now := takenAt.Add(time.Duration(i) * time.Second)
		one := newTakenToken(7, now)
		k.take(&one, "", now)
	}
	if n := cap(k.users[7].all); n > 1<<11 {
		t.Errorf("room for %d is kept, want some hundreds", n)
	}
	k.sweep(takenAt.Add(100 * time.Hour))
	if len(k.users) != 0 {
		t.Error("a user is kept of whom nothing is left")
	}
}

// A hello may come more than once, by functions and by another origin. It is one hello
// until its connection was made, and nobody else's ever.
func TestATokenIsOneConnectionsUntilItIsMade(t *testing.T) {
	t.Parallel()
	k := newTakenTokens()
	one := newTakenToken(7, takenAt)
	for range 2 {
		if !k.take(&one, "a=", takenAt) {
			t.Error("a hello, or one that came again, was refused")
		}
	}
	if k.take(&one, "b=", takenAt) || k.take(&one, "", takenAt) {
		t.Error("another connection took the token")
	}
	if k.spend(&one); k.take(&one, "a=", takenAt) {
		t.Error("a token that was spent was taken")
	}
}

// The text that others implement says how many are remembered.
func TestTheTextSaysHowManyTokensAreRemembered(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../internal/wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := fmt.Sprintf("\n| TokensTaken | %d |", maxTaken); !strings.Contains(string(text), row) {
		t.Errorf("got a text without %q", row)
	}
}

func BenchmarkATokenOfABusyUser(b *testing.B) {
	k := newTakenTokens()
	b.ReportAllocs()
	for b.Loop() {
		one := newTakenToken(7, takenAt)
		k.take(&one, "", takenAt)
	}
}
