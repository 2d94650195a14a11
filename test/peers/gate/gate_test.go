package gate_test

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"culvert/internal/wire"
)

var (
	current  = strings.Repeat("Culvert1", 8)
	previous = strings.Repeat("Culvert0", 8)
	now      = time.UnixMilli(1_800_000_000_500)
)

func keyOf(t testing.TB, text string) wire.GateKey {
	t.Helper()
	keys, err := wire.ParseGateKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys[0]
}

// tokenOf makes a token at a time as a client does that has a link by secret.
func tokenOf(t testing.TB, secret string, user uint32, at time.Time) string {
	t.Helper()
	made := wire.NewToken(user, keyOf(t, secret).TokenKey(user), [32]byte{}, at)
	return made.Text()
}

func cookie(value string) map[string]any { return map[string]any{"value": value} }

func visitWith(cookies map[string]any) visit {
	return visit{now.UnixMilli(), map[string]any{
		"method": "GET", "uri": "/v1", "querystring": map[string]any{"a": cookie("b")},
		"headers": map[string]any{"host": cookie("front.example"), "sec-websocket-key": cookie("dGhlIHNhbXBsZSBub25jZQ==")},
		"cookies": cookies,
	}}
}

func visitBy(token string) visit { return visitWith(map[string]any{wire.TokenCookie: cookie(token)}) }

// admitted checks that the visit went on as it came, or as a plain visit to
// the site, and says which.
func admitted(t testing.TB, v visit, got outcome) bool {
	t.Helper()
	if got.Origin == "" {
		if !reflect.DeepEqual(got.Request, v.Request) {
			t.Errorf("got %v, want %v as it came", got.Request, v.Request)
		}
		return true
	}
	plain := map[string]any{"method": "GET", "uri": "/v1", "headers": v.Request["headers"],
		"cookies": map[string]any{}, "querystring": map[string]any{}}
	if got.Origin != site || !reflect.DeepEqual(got.Request, plain) {
		t.Errorf("got %v to %s, want %v to %s", got.Request, got.Origin, plain, site)
	}
	return false
}

// site is the origin's id in the template.
const site = "origin"

// proofAt is where the part of a token begins that only the origin verifies.
const proofAt = 35

// flipped is the token with one bit of its bytes changed.
func flipped(t testing.TB, token string, bit int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	raw[bit/8] ^= 1 << (bit % 8)
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ahead is the length of the longest message that comes behind a token.
var ahead = base64.RawURLEncoding.EncodedLen(wire.MaxAhead)

// claim is what becomes of a visit.
type claim struct {
	name string
	visit
	want bool
}

func claims(t testing.TB) []claim {
	good := tokenOf(t, current, 7, now)
	mixed := wire.NewToken(8, keyOf(t, current).TokenKey(7), [32]byte{}, now)
	two := map[string]any{"value": good, "multiValue": []any{cookie(good), cookie(good)}}
	all := []claim{
		{"a token", visitBy(good), true},
		{"the highest user", visitBy(tokenOf(t, current, 1<<32-1, now)), true},
		{"the secret before", visitBy(tokenOf(t, previous, 7, now)), true},
		{"other cookies, too", visitWith(map[string]any{"session": cookie(good), "id": cookie("1")}), true},
		{"the cookie once, as a list", visitWith(map[string]any{"session": map[string]any{"value": good, "multiValue": []any{cookie(good)}}}), true},
		{"five minutes old", visitBy(tokenOf(t, current, 7, now.Add(-299*time.Second))), true},
		{"five minutes early", visitBy(tokenOf(t, current, 7, now.Add(300*time.Second))), true},
		{"older", visitBy(tokenOf(t, current, 7, now.Add(-300*time.Second))), false},
		{"from the future", visitBy(tokenOf(t, current, 7, now.Add(302*time.Second))), false},
		{"another secret", visitBy(tokenOf(t, strings.Repeat("x", 64), 7, now)), false},
		{"another user's key", visitBy(mixed.Text()), false},
		{"no cookie", visitWith(map[string]any{}), false},
		{"another cookie", visitWith(map[string]any{"Session": cookie(good)}), false},
		{"the cookie twice", visitWith(map[string]any{"session": two}), false},
		{"empty", visitBy(""), false},
		{"too short", visitBy(good[:wire.TokenLen-1]), false},
		{"a first message behind it", visitBy(good + strings.Repeat("A", ahead)), true},
		{"too long a message behind it", visitBy(good + strings.Repeat("A", ahead+1)), false},
		{"padded", visitBy(good + "="), false},
		{"a line end after it", visitBy(good + "\n"), false},
		{"a line end for the last character", visitBy(good[:wire.TokenLen-1] + "\n"), false},
		{"quoted", visitBy(`"` + good + `"`), false},
		{"the other base64", visitBy(strings.Repeat("+/", wire.TokenLen/2)), false},
		{"huge", visitBy(strings.Repeat(good, 200)), false},
		{"a message behind it that is none", visitBy(good + "A+"), false},
		{"not ASCII", visitBy(strings.Repeat("ä", wire.TokenLen)), false},
		{"not characters", visitBy(strings.Repeat("\xff", wire.TokenLen)), false},
	}
	for bit := range len(wire.Token{}) * 8 {
		all = append(all, claim{"a changed bit", visitBy(flipped(t, good, bit)), bit >= proofAt*8})
	}
	return all
}

func TestOnlyAFreshTokenOpensTheGate(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]engine{"Go": inGo, "node": outside("node"), "njs": outside("njs")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := claims(t)
			visits := make([]visit, len(all))
			for i, c := range all {
				visits[i] = c.visit
			}
			for i, got := range run(t, e, current+" "+previous, visits...) {
				if is := admitted(t, all[i].visit, got); is != all[i].want {
					t.Errorf("%s: got admitted %v, want %v", all[i].name, is, all[i].want)
				}
			}
		})
	}
}

// The time of the function tells nothing: it computes the same hashes whatever comes.
func TestEveryVisitCostsTheSameHashes(t *testing.T) {
	t.Parallel()
	all := claims(t)
	visits := make([]visit, len(all))
	for i, c := range all {
		visits[i] = c.visit
	}
	counted := func(t testing.TB, script string) string {
		return inGo(t, strings.NewReplacer("crypto.createHash(", "count(crypto).createHash(", "crypto.createHmac(", "count(crypto).createHmac(",
			"origin = '';", "origin = ''; hashes = 0;", "origin: origin", "origin: origin === '' ? 'in' : 'out', hashes: hashes").Replace(script)+
			"\nfunction count(crypto) { hashes++; return crypto; }\nvar hashes;\n")
	}
	outcomes := run(t, counted, current+" "+previous, visits...)
	for i, got := range outcomes {
		if got.Hashes == 0 || got.Hashes != outcomes[0].Hashes {
			t.Errorf("%s: got %d hashes, want %d as for %s", all[i].name, got.Hashes, outcomes[0].Hashes, all[0].name)
		}
	}
}

func TestWhatIsNoSecretOpensNothing(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string]string{
		"no text":                "",
		"a reference left alone": "{{resolve:secretsmanager:gate}}",
		"too short":              current[1:],
		"the placeholder":        "GATE_SECRETS",
	} {
		v := visitBy(tokenOf(t, current, 7, now))
		if admitted(t, v, run(t, inGo, texts, v)[0]) {
			t.Errorf("%s: got admitted", name)
		}
	}
}

func TestASecretAloneOpensTheGate(t *testing.T) {
	t.Parallel()
	for name, texts := range map[string]string{"alone": current, "with a space": current + " ", "behind none": " " + current} {
		v := visitBy(tokenOf(t, current, 7, now))
		if !admitted(t, v, run(t, inGo, texts, v)[0]) {
			t.Errorf("%s: got refused", name)
		}
	}
}

// The function at the edge and Admit of internal/wire agree on every token. Whether what stands
// behind it is a message the function leaves to the origin.
func FuzzGate(f *testing.F) {
	keys, err := wire.ParseGateKeys(current + " " + previous)
	if err != nil {
		f.Fatal(err)
	}
	for _, bit := range []int{-1, 0, 8, 40, 71, 136, 263, 280, 407} {
		token := tokenOf(f, previous, 7, now)
		if bit >= 0 {
			token = flipped(f, token, bit)
		}
		f.Add(token, int64(0))
		f.Add(token+"Ahead_-", int64(0))
		f.Add(token, (300 * time.Second).Milliseconds())
	}
	f.Add("", int64(0))
	f.Fuzz(func(t *testing.T, token string, later int64) {
		v := visitBy(token)
		v.Now += later % (1 << 41)
		text, behind := token, ""
		if len(token) > wire.TokenLen {
			text, behind = token[:wire.TokenLen], token[wire.TokenLen:]
		}
		read, err := wire.ParseToken(text)
		want := err == nil && read.Admit(keys, time.UnixMilli(v.Now)) && len(behind) <= ahead && isBase64(behind)
		if got := admitted(t, v, run(t, inGo, current+" "+previous, v)[0]); got != want {
			t.Errorf("got admitted %v, and %v from Admit", got, want)
		}
	})
}

func isBase64(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return strings.Trim(s, letters) == ""
}
