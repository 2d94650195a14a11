package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	gate  = GateKey{1}
	gates = GateKeys{gate}
	proof = [32]byte{2}
)

func newToken(user uint32, now time.Time) Token { return New(user, gate.TokenKey(user), proof, now) }

func TestATokenIsAdmittedByGatesAndProvedToTheOrigin(t *testing.T) {
	made := newToken(7, start)
	read, err := Parse(made.Text())
	if err != nil || read != made || read.User() != 7 {
		t.Fatalf("got %v %v", read, err)
	}
	if !read.Admit(GateKeys{{9}, gate}, start.Add(Life)) || !read.Proved(proof) {
		t.Error("a good token is refused")
	}
}

func TestTheGatesKeyMintsNothingForTheOrigin(t *testing.T) {
	forged := New(7, gate.TokenKey(7), [32]byte{}, start)
	if !forged.Admit(gates, start) {
		t.Error("the gate's key makes nothing that a gate admits")
	}
	if forged.Proved(proof) {
		t.Error("the origin believes what the gate's key made")
	}
}

func TestEveryBitOfATokenCounts(t *testing.T) {
	for i := range 8 * len(Token{}) {
		bad := newToken(7, start)
		bad[i/8] ^= 1 << (i % 8)
		read, err := Parse(bad.Text())
		if err == nil && read.Admit(gates, start) && read.Proved(proof) {
			t.Errorf("bit %d may be changed", i)
		}
	}
}

func TestTokensAreRefused(t *testing.T) {
	good := newToken(7, start)
	for name, s := range map[string]string{
		"nothing": "", "short": good.Text()[1:], "long": good.Text() + "A", "base64": "+" + good.Text()[1:],
		"padded": good.Text()[:67] + "=", "line": good.Text()[:67] + "\n",
	} {
		if _, err := Parse(s); err != ErrToken {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, off := range []time.Duration{Life + time.Second, -Life - time.Second} {
		if good.Admit(gates, start.Add(off)) {
			t.Errorf("admitted %v off", off)
		}
	}
	if good.Admit(GateKeys{{9}}, start) || good.Admit(nil, start) {
		t.Error("admitted by another's key")
	}
}

func TestATokenIsTakenOnce(t *testing.T) {
	k := NewTaken()
	a, b := newToken(7, start), newToken(7, start)
	if !k.Take(&a, start) || !k.Take(&b, start) || k.Take(&a, start.Add(Life)) {
		t.Error("a token was taken twice, or not once")
	}
	for range MaxTaken - 2 {
		other := newToken(7, start)
		k.Take(&other, start)
	}
	if k.Take(&b, start) {
		t.Error("a token was forgotten before MaxTaken others came")
	}
	for range 2 {
		other := newToken(7, start)
		k.Take(&other, start)
	}
	if n := len(k.users[7].all); n != MaxTaken {
		t.Errorf("got %d, want %d", n, MaxTaken)
	}
}

func TestAUserFillsNobodyElsesMemory(t *testing.T) {
	k := NewTaken()
	mine := newToken(7, start)
	k.Take(&mine, start)
	for range 2 * MaxTaken {
		other := newToken(8, start)
		k.Take(&other, start)
	}
	if k.Take(&mine, start) {
		t.Error("another user's tokens pushed mine out")
	}
}

func TestTokensAreForgottenWhenNobodyAdmitsThem(t *testing.T) {
	k := NewTaken()
	for i := range 10 * MaxTaken {
		now := start.Add(time.Duration(i) * time.Second)
		one := newToken(7, now)
		k.Take(&one, now)
	}
	if n := cap(k.users[7].all); n > 1<<11 {
		t.Errorf("room for %d is kept, want some hundreds", n)
	}
	k.Sweep(start.Add(100 * time.Hour))
	if len(k.users) != 0 {
		t.Error("a user is kept of whom nothing is left")
	}
}

func TestAFrontMovesItsOwnTokensTimeByADay(t *testing.T) {
	built := start.Add(-time.Hour)
	for name, test := range map[string]struct {
		date, machine time.Time
		want          bool
	}{
		"minutes":            {start.Add(10 * time.Minute), start, true},
		"a day":              {start.Add(MaxOffset), start, true},
		"more than a day":    {start.Add(MaxOffset + time.Second), start, false},
		"nothing":            {start.Add(time.Second), start, false},
		"before the program": {built.Add(-time.Second), start, false},
		"a machine of 1970":  {start, time.Unix(0, 0), true},
	} {
		var c Clock
		if got := c.Learn(test.date, test.machine, built); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
		if test.want && !c.Now(test.machine).Equal(test.date) {
			t.Errorf("%s: the clock shows %v", name, c.Now(test.machine))
		}
		if c.Learn(test.date, test.machine, built) {
			t.Errorf("%s: learns the same twice", name)
		}
	}
}

var update = flag.Bool("update", false, "write the vectors")

type vector struct {
	GateKey, ProofKey, Nonce, Token string
	User, Time                      uint32
}

func TestVectors(t *testing.T) {
	const file = "testdata/tokens.json"
	if *update {
		writeVectors(t, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		var g GateKey
		var p [32]byte
		var nonce [10]byte
		hex.Decode(g[:], []byte(v.GateKey))
		hex.Decode(p[:], []byte(v.ProofKey))
		hex.Decode(nonce[:], []byte(v.Nonce))
		if got := fixed(v.User, g, p, nonce, v.Time); got.Text() != v.Token {
			t.Errorf("got %s, want %s", got.Text(), v.Token)
		}
	}
}

func fixed(user uint32, g GateKey, p [32]byte, nonce [10]byte, at uint32) Token {
	made := New(user, g.TokenKey(user), p, time.Unix(int64(at), 0))
	copy(made[nonceAt:], nonce[:])
	made.sign(g.TokenKey(user), p)
	return made
}

func writeVectors(t *testing.T, file string) {
	var all []vector
	for i, user := range []uint32{0, 7, 1<<32 - 1} {
		g, p, nonce := GateKey(bytes.Repeat([]byte{byte(i + 1)}, 32)), [32]byte{byte(i)}, [10]byte{9: byte(i)}
		at := uint32(start.Unix()) + uint32(i)
		made := fixed(user, g, p, nonce, at)
		all = append(all, vector{hex.EncodeToString(g[:]), hex.EncodeToString(p[:]), hex.EncodeToString(nonce[:]), made.Text(), user, at})
	}
	b, _ := json.MarshalIndent(all, "", "\t")
	os.MkdirAll("testdata", 0o755)
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What Parse accepts, Text writes back.
func FuzzToken(f *testing.F) {
	good := newToken(7, start)
	f.Add(good.Text())
	f.Fuzz(func(t *testing.T, s string) {
		if read, err := Parse(s); err == nil && read.Text() != s {
			t.Errorf("put back %q, want %q", read.Text(), s)
		}
	})
}

func BenchmarkAdmitProveTake(b *testing.B) {
	k := NewTaken()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		one := newToken(uint32(i%64), start)
		if !one.Admit(gates, start) || !one.Proved(proof) || !k.Take(&one, start) {
			b.Fatal("refused")
		}
	}
}
