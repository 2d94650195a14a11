package origin

import (
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
	k := NewTaken()
	a, b := newTakenToken(7, takenAt), newTakenToken(7, takenAt)
	if !k.Take(&a, takenAt) || !k.Take(&b, takenAt) || k.Take(&a, takenAt.Add(wire.TokenLife)) {
		t.Error("a token was taken twice, or not once")
	}
	for range MaxTaken - 2 {
		other := newTakenToken(7, takenAt)
		k.Take(&other, takenAt)
	}
	if k.Take(&b, takenAt) {
		t.Error("a token was forgotten before MaxTaken others came")
	}
	for range 2 {
		other := newTakenToken(7, takenAt)
		k.Take(&other, takenAt)
	}
	if n := len(k.users[7].all); n != MaxTaken {
		t.Errorf("got %d, want %d", n, MaxTaken)
	}
}

func TestAUserFillsNobodyElsesMemory(t *testing.T) {
	t.Parallel()
	k := NewTaken()
	mine := newTakenToken(7, takenAt)
	k.Take(&mine, takenAt)
	for range 2 * MaxTaken {
		other := newTakenToken(8, takenAt)
		k.Take(&other, takenAt)
	}
	if k.Take(&mine, takenAt) {
		t.Error("another user's tokens pushed mine out")
	}
}

func TestTokensAreForgottenWhenNobodyAdmitsThem(t *testing.T) {
	t.Parallel()
	k := NewTaken()
	for i := range 10 * MaxTaken {
		now := takenAt.Add(time.Duration(i) * time.Second)
		one := newTakenToken(7, now)
		k.Take(&one, now)
	}
	if n := cap(k.users[7].all); n > 1<<11 {
		t.Errorf("room for %d is kept, want some hundreds", n)
	}
	k.Sweep(takenAt.Add(100 * time.Hour))
	if len(k.users) != 0 {
		t.Error("a user is kept of whom nothing is left")
	}
}
