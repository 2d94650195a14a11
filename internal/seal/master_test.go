package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"culvert/internal/wire"
)

func TestParseMasterReadsWhatTextWrites(t *testing.T) {
	t.Parallel()
	m := NewMaster()
	for _, text := range []string{m.Text(), m.Text() + "\n", " \t" + m.Text() + "\r\n\r\n"} {
		got, err := ParseMaster(text)
		if err != nil || got != m {
			t.Errorf("got %v, want the same secret", err)
		}
	}
	if NewMaster() == m {
		t.Error("two new secrets are alike")
	}
}

const generated = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789zZ"

// The vector is sha256sum's.
func TestParseMasterReadsWhatSecretsManagerMakes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{generated, generated + "\n"} {
		m, err := ParseMaster(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := hex.EncodeToString(m.secret[:]), "9cd8a261797e6a8912d0ab6e6f9ef77802a5468945089ce7487ba580e8fbf38c"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if back, err := ParseMaster(m.Text()); err != nil || back != m {
			t.Errorf("got %v, want what Text writes to be the same secret", err)
		}
	}
}

func TestParseMastersReadsTheNewestFirst(t *testing.T) {
	t.Parallel()
	a, b := NewMaster(), NewMaster()
	g, err := ParseMaster(generated)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]Master{
		a.Text():                                  {a},
		b.Text() + "\n" + a.Text() + "\n":         {b, a},
		" " + generated + "\r\n\r\n" + b.Text():   {g, b},
		strings.Repeat(a.Text()+"\n", maxMasters): {a, a, a, a},
		"":                            nil,
		" \n":                         nil,
		"x":                           nil,
		a.Text() + "\nx":              nil,
		a.Text() + " " + b.Text()[1:]: nil,
		strings.Repeat(generated+"\n", maxMasters+1): nil,
		strings.Repeat(generated+"\n", 1000):         nil,
	} {
		got, err := ParseMasters(text)
		if (err == nil) != (want != nil) || want != nil && !slices.Equal(got, want) {
			t.Errorf("got %d secrets and %v, want %d", len(got), err, len(want))
		}
		if err != nil && !strings.Contains(err.Error(), "culvert link secret") {
			t.Errorf("got %q, want what to do", err)
		}
	}
}

func TestAGatesOwnSecretMakesTheTokensOfLinks(t *testing.T) {
	t.Parallel()
	gate := wire.GateKey{1}
	m := NewMaster()
	with := m.WithGate(gate)
	if with.GateKey() != gate || with.Client(7).Token != gate.TokenKey(7) {
		t.Error("the gate's own key is not used")
	}
	without := with.Client(7)
	without.Token = m.Client(7).Token
	if without != m.Client(7) || m.GateKey() == gate {
		t.Error("the gate's own key changes other keys")
	}
}

func TestParseMasterRefuses(t *testing.T) {
	t.Parallel()
	ok := NewMaster().Text()
	body := strings.TrimPrefix(ok, masterPrefix)
	for name, text := range map[string]string{
		"nothing":           "",
		"white space":       " \n",
		"no prefix":         body,
		"only the prefix":   masterPrefix,
		"another version":   "culvert-secret-2:" + body,
		"upper case":        strings.ToUpper(masterPrefix) + body,
		"short":             ok[:len(ok)-1],
		"long":              ok + "A",
		"padding":           ok + "=",
		"two of them":       ok + "\n" + ok,
		"two generated":     generated + "\n" + generated,
		"63 letters":        generated[1:],
		"65 letters":        generated + "a",
		"a generated dash":  generated[1:] + "-",
		"another alphabet":  generated[2:] + "ä",
		"a space inside":    masterPrefix + " " + body[1:],
		"a line feed":       masterPrefix + body[:20] + "\n" + body[21:],
		"spare bits set":    masterPrefix + strings.Repeat("A", 42) + "B",
		"standard base64":   masterPrefix + strings.Repeat("A", 42) + "+",
		"a link":            "culvert:" + body,
		"something immense": masterPrefix + strings.Repeat("A", 1<<20),
	} {
		m, err := ParseMaster(text)
		if err == nil || m != (Master{}) {
			t.Errorf("%s: got no error, want one", name)
		} else if !strings.Contains(err.Error(), "culvert link secret") || strings.Contains(err.Error(), body) {
			t.Errorf("%s: got %q, want what to do and no secret", name, err)
		}
	}
}

// What ParseMaster accepts, Text writes, but for the space around it and what
// was made elsewhere.
func FuzzParseMaster(f *testing.F) {
	f.Add(Master{}.Text())
	f.Add(" " + NewMaster().Text() + "\n")
	f.Add(generated)
	f.Fuzz(func(t *testing.T, in string) {
		if m, err := ParseMaster(in); err == nil && m.Text() != strings.TrimSpace(in) && len(strings.TrimSpace(in)) != generatedLen {
			t.Errorf("got %q, want %q", m.Text(), in)
		}
	})
}

func TestUsersAndOriginsHaveKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	seen := map[[32]byte]string{}
	own := func(name string, key [32]byte) {
		if other, ok := seen[key]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		seen[key] = name
	}
	for i, m := range []Master{NewMaster(), NewMaster()} {
		own(fmt.Sprintf("gate %d", i), m.GateKey())
		own(fmt.Sprintf("origin %d", i), m.originPrivate())
		own(fmt.Sprintf("secret %d", i), m.secret)
		for user := range uint32(3) {
			own(fmt.Sprintf("user %d of %d", user, i), m.Client(user).Private)
		}
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	t.Parallel()
	m, err := ParseMaster(masterPrefix + strings.Repeat("q", 42) + "o") // 0xaa, 170, again and again
	if err != nil {
		t.Fatal(err)
	}
	key := PrivateKey(m.secret)
	link := ClientKeys{Private: key, Origin: m.originPrivate().public()}
	copy(link.Token[:], m.secret[:])
	pair := m.Pair(7)
	pair.private, pair.secret, pair.prk = key.key(), m.secret, m.secret
	var out bytes.Buffer
	for _, v := range []any{m, &m, key, &key, link, &link, pair, *pair} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
	}
	fmt.Fprint(&out, key, m)
	for _, trace := range []string{"aaaa", "AAAA", "170 170", "170,170", "qqqq", "252 252", "10101010 1010", "\u00aa\u00aa", "U+00AA", "0xaa", "qqqo"} {
		if strings.Contains(out.String(), trace) {
			t.Errorf("%q is in what was printed", trace)
		}
	}
	if !strings.Contains(out.String(), hiddenText) {
		t.Error("nothing was printed at all")
	}
}
