package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	gate  = GateKey{1}
	gates = GateKeys{gate}
	proof = [32]byte{2}
)

func newToken(user uint32, now time.Time) Token {
	return NewToken(user, gate.TokenKey(user), proof, now)
}

func TestATokenIsAdmittedByGatesAndProvedToTheOrigin(t *testing.T) {
	t.Parallel()
	made := newToken(7, start)
	read, err := ParseToken(made.Text())
	if err != nil || read != made || read.User() != 7 {
		t.Fatalf("got %v %v", read, err)
	}
	if !read.Admit(GateKeys{{9}, gate}, start.Add(TokenLife)) || !read.Proved(proof) {
		t.Error("a good token is refused")
	}
}

func TestTheGatesKeyMintsNothingForTheOrigin(t *testing.T) {
	t.Parallel()
	forged := NewToken(7, gate.TokenKey(7), [32]byte{}, start)
	if !forged.Admit(gates, start) {
		t.Error("the gate's key makes nothing that a gate admits")
	}
	if forged.Proved(proof) {
		t.Error("the origin believes what the gate's key made")
	}
}

func TestEveryBitOfATokenCounts(t *testing.T) {
	t.Parallel()
	for i := range 8 * len(Token{}) {
		bad := newToken(7, start)
		bad[i/8] ^= 1 << (i % 8)
		read, err := ParseToken(bad.Text())
		if err == nil && read.Admit(gates, start) && read.Proved(proof) {
			t.Errorf("bit %d may be changed", i)
		}
	}
}

func TestTokensAreRefused(t *testing.T) {
	t.Parallel()
	good := newToken(7, start)
	for name, s := range map[string]string{
		"nothing": "", "short": good.Text()[1:], "long": good.Text() + "A", "base64": "+" + good.Text()[1:],
		"padded": good.Text()[:67] + "=", "line": good.Text()[:67] + "\n",
	} {
		if _, err := ParseToken(s); err != ErrToken {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, off := range []time.Duration{TokenLife + time.Second, -TokenLife - time.Second} {
		if good.Admit(gates, start.Add(off)) {
			t.Errorf("admitted %v off", off)
		}
	}
	for _, version := range []byte{0, 1, 3} {
		other := good
		other[0] = version
		other.sign(gate.TokenKey(7), proof)
		if _, err := ParseToken(other.Text()); err != ErrToken {
			t.Errorf("version %d: got %v", version, err)
		}
	}
	if good.Admit(GateKeys{{9}}, start) || good.Admit(nil, start) {
		t.Error("admitted by another's key")
	}
}

func TestWhatComesBehindATokenIsCutOff(t *testing.T) {
	t.Parallel()
	token := newToken(7, start)
	for _, first := range [][]byte{nil, {1}, bytes.Repeat([]byte{7}, MaxAhead)} {
		text, got, ok := CutAhead(token.WithAhead(first))
		if !ok || text != token.Text() || !bytes.Equal(got, first) {
			t.Errorf("%d bytes: got %q, %d bytes, %v", len(first), text, len(got), ok)
		}
	}
	for name, behind := range map[string]string{
		"no base64": "A", "padded": "AA==", "spelled another way": "AB", "too much": strings.Repeat("A", (MaxAhead+3)/3*4),
	} {
		if _, _, ok := CutAhead(token.Text() + behind); ok {
			t.Errorf("%s: it was taken", name)
		}
	}
	if text, _, ok := CutAhead("short"); !ok || text != "short" {
		t.Error("what is shorter than a token is not left to ParseToken")
	}
}

func TestKeysOfTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	link := struct {
		Gate  GateKey
		Token TokenKey
	}{gate, gate.TokenKey(7)}
	text, err := json.Marshal(link)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text) + link.Gate.String() + link.Token.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%o", "%c", "%U"} {
		got += fmt.Sprintf(verb+verb, link.Gate, link.Token) + fmt.Sprintf(verb, &link)
	}
	want := strings.Repeat(hiddenKey, strings.Count(got, hiddenKey))
	if rest := strings.Trim(strings.ReplaceAll(got, hiddenKey, ""), "0x{}&:,\" "); strings.ContainsAny(rest, "0123456789") {
		t.Errorf("got %q, want nothing but %q", got, want)
	}
}

type vector struct {
	GateKey, ProofKey, Nonce, Token string
	User, Time                      uint32
}

func TestTokensAreTheVectors(t *testing.T) {
	t.Parallel()
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
	made := NewToken(user, g.TokenKey(user), p, time.Unix(int64(at), 0))
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
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What ParseToken accepts, Text writes back; and a stranger makes no token.
func FuzzToken(f *testing.F) {
	good := fixed(7, gate, proof, [10]byte{}, uint32(start.Unix()))
	f.Add(good.Text())
	f.Fuzz(func(t *testing.T, s string) {
		read, err := ParseToken(s)
		if err != nil {
			return
		}
		if read.Text() != s {
			t.Errorf("put back %q, want %q", read.Text(), s)
		}
		if read.Admit(gates, start) && read.Proved(proof) && read != good {
			t.Errorf("admitted %q", s)
		}
	})
}

func BenchmarkAdmitAndProve(b *testing.B) {
	one := newToken(7, start)
	b.ReportAllocs()
	for b.Loop() {
		if !one.Admit(gates, start) || !one.Proved(proof) {
			b.Fatal("refused")
		}
	}
}
