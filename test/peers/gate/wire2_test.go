package gate_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
	"culvert/test/wire2/token"
)

func TestTheSecondGateAdmitsWhatTheOriginWould(t *testing.T) {
	key := keyOf(t, current)
	at := func(d time.Duration, k wire.GateKey) string {
		made := token.New(7, k.TokenKey(7), [32]byte{1}, now.Add(d))
		return made.Text()
	}
	good := at(0, key)
	flipped := []byte(good)
	flipped[30] ^= 1
	names := []string{"good", "old secret", "early", "late", "another's key", "flipped", "short", "version 1", "none"}
	texts := []string{good, at(0, keyOf(t, previous)), at(-token.Life+time.Second, key), at(2*token.Life, key), at(0, wire.GateKey{}),
		string(flipped), good[:64], tokenOf(t, current, 7, now), ""}
	want := []bool{true, true, true, false, false, false, false, false, false}
	code, err := os.ReadFile("../../wire2/gate.js")
	if err != nil {
		t.Fatal(err)
	}
	filled := strings.Replace(string(code), "GATE_SECRETS", current+" "+previous, 1)
	var visits []visit
	for _, text := range texts {
		visits = append(visits, visitBy(text))
	}
	for i, got := range runCode(t, inGo, filled, visits...) {
		if admitted(t, visits[i], got) != want[i] {
			t.Errorf("%s: admitted %v, want %v", names[i], !want[i], want[i])
		}
	}
}
