package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
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
			agree, proof := Expand(p.prk[:], "culvert 2 agree key"), p.ProofKey()
			same(t, "agree key", agree[:], want.AgreeKey)
			same(t, "proof key", proof[:], want.ProofKey)
			same(t, "owner", p.MAC("culvert 2 owner", []byte("203.0.113.7:443"))[:8], want.Owner)
		}
	}
}

// The keys of a pair that others name are said by package session.
func TestTheTextSaysTheLabelsOfTheCode(t *testing.T) {
	t.Parallel()
	protocol, err := os.ReadFile("../wire/PROTOCOL.md")
	if err != nil || !strings.Contains(string(protocol), "`culvert 2 token key`") {
		t.Errorf("the text does not say the label of a pair's ProofKey: %v", err)
	}
}
