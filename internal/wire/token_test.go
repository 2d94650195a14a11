package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// The gate's key and the time of the vectors. Whoever writes another verifier
// checks it against these.
var (
	tokenGate = GateKey{0: 1, 31: 2}
	tokenTime = time.Unix(1_800_000_000, 0)
)

const (
	tokenOf7    = "AQAAAAdrSdIAAAECAwQFBgfS64MI0crbAnEnHve502zD"
	tokenKeyOf7 = "11dd2747ef321461262141b118782900"
)

func TestTokenKeyAndTokenAreTheVectors(t *testing.T) {
	t.Parallel()
	key := tokenGate.TokenKey(7)
	if got := fmt.Sprintf("%x", key[:]); got != tokenKeyOf7 {
		t.Errorf("key: got %s, want %s", got, tokenKeyOf7)
	}
	raw := []byte("\x01\x00\x00\x00\x07\x6b\x49\xd2\x00\x00\x01\x02\x03\x04\x05\x06\x07")
	if got := tokenText.EncodeToString(append(raw, key.sign(raw)...)); got != tokenOf7 {
		t.Errorf("token: got %s, want %s", got, tokenOf7)
	}
	if user, err := tokenGate.Verify(tokenOf7, tokenTime); user != 7 || err != nil {
		t.Errorf("got user %d and %v, want 7 and no error", user, err)
	}
}

func TestANewTokenNamesItsUser(t *testing.T) {
	t.Parallel()
	for _, user := range []uint32{0, 1, 1 << 31, 1<<32 - 1} {
		token := NewToken(user, tokenGate.TokenKey(user), tokenTime)
		if got, err := tokenGate.Verify(token, tokenTime); got != user || err != nil {
			t.Errorf("got user %d and %v, want %d and no error", got, err, user)
		}
		if len(token) != TokenLen || strings.Trim(token, cookieSafe) != "" {
			t.Errorf("got %q, want %d characters that a cookie may hold", token, TokenLen)
		}
		if again := NewToken(user, tokenGate.TokenKey(user), tokenTime); again == token {
			t.Errorf("two tokens are alike: %q", token)
		}
	}
}

const cookieSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestATokenIsGoodForTokenLifeEitherWay(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]error{
		0:                          nil,
		TokenLife:                  nil,
		-TokenLife:                 nil,
		TokenLife + time.Second:    ErrToken,
		-TokenLife - time.Second:   ErrToken,
		100 * 365 * 24 * time.Hour: ErrToken,
	} {
		if _, err := tokenGate.Verify(tokenOf7, tokenTime.Add(age)); err != want {
			t.Errorf("%v old: got %v, want %v", age, err, want)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	otherKey := GateKey{1}
	for name, token := range map[string]string{
		"nothing":            "",
		"too short":          tokenOf7[:TokenLen-1],
		"too long":           tokenOf7 + "A",
		"padding":            tokenOf7 + "=",
		"huge":               strings.Repeat("A", 1<<20),
		"a space before":     " " + tokenOf7[1:],
		"a line feed inside": tokenOf7[:TokenLen-1] + "\n",
		"many line feeds":    strings.Repeat("\r\n", TokenLen/2),
		"standard base64":    strings.Repeat("+", TokenLen),
		"not ASCII":          strings.Repeat("é", TokenLen/2),
		"zeros":              strings.Repeat("A", TokenLen),
		"another version":    signed(tokenGate.TokenKey(7), 2, 7),
		"another gate":       NewToken(7, otherKey.TokenKey(7), tokenTime),
		"another user's key": NewToken(7, tokenGate.TokenKey(8), tokenTime),
		"time before 1970":   NewToken(7, tokenGate.TokenKey(7), time.Unix(-1, 0)),
	} {
		if user, err := tokenGate.Verify(token, tokenTime); err != ErrToken || user != 0 {
			t.Errorf("%s: got user %d and %v, want 0 and %v", name, user, err, ErrToken)
		}
	}
}

// signed makes a token of any version whose signature is right.
func signed(key TokenKey, version byte, user byte) string {
	raw := []byte{0: version, 4: user, 5: 0x6b, 6: 0x49, 7: 0xd2, 16: 0}
	return tokenText.EncodeToString(append(raw, key.sign(raw)...))
}

func TestNoCharacterOfATokenCanBeChanged(t *testing.T) {
	t.Parallel()
	for i := range TokenLen {
		for _, c := range []byte(cookieSafe) {
			token := tokenOf7[:i] + string(c) + tokenOf7[i+1:]
			_, err := tokenGate.Verify(token, tokenTime)
			if got, want := err == nil, token == tokenOf7; got != want {
				t.Errorf("%q: got accepted %v, want %v", token, got, want)
			}
		}
	}
}

func TestKeysOfTokensAreNotPrinted(t *testing.T) {
	t.Parallel()
	link := struct {
		Gate  GateKey
		Token TokenKey
	}{tokenGate, tokenGate.TokenKey(7)}
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

// A token that is accepted has one spelling, and a stranger makes none.
func FuzzVerify(f *testing.F) {
	f.Add(tokenOf7)
	f.Add(tokenOf7 + "=")
	f.Add("\n" + tokenOf7)
	f.Fuzz(func(t *testing.T, token string) {
		user, err := tokenGate.Verify(token, tokenTime)
		if err == nil && token != tokenOf7 {
			t.Errorf("accepted %q of user %d", token, user)
		}
		if err != nil && err != ErrToken {
			t.Errorf("got %v, want %v", err, ErrToken)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		tokenGate.Verify(tokenOf7, tokenTime)
	}
}
