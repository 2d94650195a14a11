package origin

import (
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// provedToken is one that user has made with a link of m's.
func provedToken(t testing.TB, m seal.Master, user uint32) wire.Token {
	t.Helper()
	keys := m.Client(user)
	p, err := seal.NewClientPair(keys)
	if err != nil {
		t.Fatal(err)
	}
	return wire.NewToken(user, keys.Token, p.ProofKey(), time.Now())
}

// Links of an older secret go on while there is a newer one.
func TestATokenIsProvedByAnyMasterSecretThatIsAccepted(t *testing.T) {
	t.Parallel()
	newest, older, other := seal.NewMaster(), seal.NewMaster(), seal.NewMaster()
	p := newPairs(newest, older)
	for range 2 { // the second time by keys that are kept
		for name, c := range map[string]struct {
			master seal.Master
			want   bool
		}{"newest": {newest, true}, "older": {older, true}, "another": {other, false}} {
			token := provedToken(t, c.master, 7)
			pair := p.prove(&token)
			if (pair != nil) != c.want {
				t.Errorf("%s: got %v, want %v", name, pair != nil, c.want)
			}
			if pair != nil && !token.Proved(pair.ProofKey()) {
				t.Errorf("%s: got the pair of another master secret", name)
			}
		}
	}
}

// Whoever has the gate's key, but no link, makes an origin remember nothing.
func TestWhatIsNotProvedIsNotRemembered(t *testing.T) {
	t.Parallel()
	o := newTestOrigin(t, seal.NewMaster())
	gate := o.admission.gates[0]
	for user := range uint32(20) {
		forged := wire.NewToken(user, gate.TokenKey(user), [32]byte{}, time.Now())
		if _, ok := o.admission.verify(forged.Text(), time.Now()); ok {
			t.Errorf("user %d: got a token believed that the gate's key alone has made", user)
		}
	}
	if p, k := len(o.admission.pairs.of), len(o.admission.taken.users); p+k != 0 {
		t.Errorf("got %d users' keys and %d users' tokens kept, want none", p, k)
	}
}

func TestTheUsersWhoseKeysAreKeptAreBounded(t *testing.T) {
	t.Parallel()
	p := newPairs()
	for user := range uint32(maxPairs + 100) {
		p.keep(user, make([]*seal.Pair, 1))
	}
	if len(p.of) != maxPairs {
		t.Errorf("got %d users, want %d", len(p.of), maxPairs)
	}
}
