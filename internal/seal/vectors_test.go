package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// vectors were computed by another implementation, of X25519 too. They hold every
// derivation, so that a change of one, which would break every link that was handed
// out, does not go unnoticed.
type vectors struct {
	Master       string
	OriginPublic text
	Gate         text
	Users        []struct {
		User                                       uint32
		Private, Public, Token, AgreeKey, ProofKey text
		Owner                                      text // of 203.0.113.7:443
	}
}

// text is bytes written as hex.
type text []byte

func (b *text) UnmarshalText(in []byte) (err error) {
	*b, err = hex.DecodeString(string(in))
	return err
}

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

func TestKeysFollowFromTheMasterAsInTheVectors(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	m, err := ParseMaster(v.Master)
	if err != nil {
		t.Fatal(err)
	}
	origin, gate := m.originPrivate().public(), m.GateKey()
	same(t, "origin", origin[:], v.OriginPublic)
	same(t, "gate", gate[:], v.Gate)
	for _, want := range v.Users {
		keys := m.Client(want.User)
		public := keys.Private.public()
		same(t, "private", keys.Private[:], want.Private)
		same(t, "public", public[:], want.Public)
		same(t, "token", keys.Token[:], want.Token)
		same(t, "link's origin", keys.Origin[:], v.OriginPublic)
		if keys.User != want.User {
			t.Errorf("got user %d, want %d", keys.User, want.User)
		}
		near, err := NewClientPair(keys)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []*Pair{near, m.Pair(want.User)} {
			agree, proof := p.AgreeKey(), p.ProofKey()
			same(t, "agree key", agree[:], want.AgreeKey)
			same(t, "proof key", proof[:], want.ProofKey)
			owner := p.Owner("203.0.113.7:443")
			same(t, "owner", owner[:], want.Owner)
		}
	}
}

func TestTheTextSaysTheLabelsOfTheCode(t *testing.T) {
	t.Parallel()
	protocol, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("pair.go")
	labels := regexp.MustCompile(`"(culvert 2[a-z ]*)"`).FindAllSubmatch(code, -1)
	if err != nil || len(labels) != 3 {
		t.Fatalf("got %d labels, want 3; %v", len(labels), err)
	}
	for _, label := range labels {
		if !strings.Contains(string(protocol), "`"+string(label[1])+"`") {
			t.Errorf("the text does not say %q", label[1])
		}
	}
}
