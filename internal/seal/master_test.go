package seal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
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

// What ParseMaster accepts, Text writes, but for the space around it.
func FuzzParseMaster(f *testing.F) {
	f.Add(Master{}.Text())
	f.Add(" " + NewMaster().Text() + "\n")
	f.Fuzz(func(t *testing.T, in string) {
		if m, err := ParseMaster(in); err == nil && m.Text() != strings.TrimSpace(in) {
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
	keys := &Keys{}
	keys.sealer.key, keys.opener.key = m.secret, m.secret
	client := NewClient(ClientKeys{Private: key, Origin: m.OriginPublic()}, time.Now)
	link := ClientKeys{Private: key, Origin: m.OriginPublic()}
	copy(link.Token[:], m.secret[:])
	_, pending, err := client.Open(tunnel, chat, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, v := range []any{m, &m, key, &key, link, &link, keys, client, pending, NewServer(m, time.Now)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		if text, err := json.Marshal(v); err == nil {
			out.Write(text)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
	}
	fmt.Fprint(&out, key.String(), key.GoString(), m.String())
	for _, trace := range []string{"aaaa", "AAAA", "170 170", "170,170", "qqqq", "252 252", "10101010 1010", "\u00aa\u00aa", "U+00AA", "0xaa", "qqqo"} {
		if strings.Contains(out.String(), trace) {
			t.Errorf("%q is in what was printed", trace)
		}
	}
	if !strings.Contains(out.String(), hiddenText) {
		t.Error("nothing was printed at all")
	}
}
