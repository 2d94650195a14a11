package seal

import (
	"crypto/rand"
	"testing"

	"github.com/flynn/noise"
)

// vanilla is an end that shares no code with this package: the library's own X25519.
func vanilla(t *testing.T, initiator bool, private PrivateKey, peer []byte) *noise.HandshakeState {
	t.Helper()
	public := private.public()
	hs, err := noise.NewHandshakeState(noise.Config{
		CipherSuite: noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256), Pattern: noise.HandshakeIK,
		Initiator: initiator, Prologue: []byte("prologue"), PeerStatic: peer,
		StaticKeypair: noise.DHKey{Private: private[:], Public: public[:]},
	})
	if err != nil {
		t.Fatal(err)
	}
	return hs
}

// run takes a handshake to its end, and compares what both ends have then.
func run(t *testing.T, near, far *noise.HandshakeState) {
	t.Helper()
	first, _, _, err := near.WriteMessage(nil, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	plain, _, _, err := far.ReadMessage(nil, first)
	if err != nil || string(plain) != "hello" {
		t.Fatalf("got %q and %v, want hello", plain, err)
	}
	second, up, down, err := far.WriteMessage(nil, []byte("answer"))
	if err != nil {
		t.Fatal(err)
	}
	plain, nearUp, nearDown, err := near.ReadMessage(nil, second)
	if err != nil || string(plain) != "answer" {
		t.Fatalf("got %q and %v, want answer", plain, err)
	}
	if up.UnsafeKey() != nearUp.UnsafeKey() || down.UnsafeKey() != nearDown.UnsafeKey() {
		t.Error("the ends do not share their keys")
	}
	same(t, "hash", near.ChannelBinding(), far.ChannelBinding())
}

func TestAVanillaResponderAnswersTheClient(t *testing.T) {
	t.Parallel()
	m := NewMaster()
	p, err := NewClientPair(m.Client(7))
	if err != nil {
		t.Fatal(err)
	}
	far := vanilla(t, false, m.originPrivate(), nil)
	run(t, p.Handshake(true, []byte("prologue"), rand.Reader), far)
	static := m.clientPrivate(7).public()
	same(t, "static key", far.PeerStatic(), static[:])
}

func TestAVanillaInitiatorIsAnsweredByTheOrigin(t *testing.T) {
	t.Parallel()
	m := NewMaster()
	p, origin := m.Pair(7), m.originPrivate().public()
	far := p.Handshake(false, []byte("prologue"), rand.Reader)
	run(t, vanilla(t, true, m.clientPrivate(7), origin[:]), far)
	if !p.IsPeer(far.PeerStatic()) || m.Pair(8).IsPeer(far.PeerStatic()) {
		t.Error("the origin takes user 7 for another")
	}
}

func TestTheSecretOfThePairIsComputedOnce(t *testing.T) {
	t.Parallel()
	p := NewMaster().Pair(7)
	want, err := shared(p.private, p.peer)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "kept", p.secret[:], want[:])
	p.secret = [32]byte{1} // so that we see who was asked
	c := &curve{pair: p}
	kept, _ := c.DH(p.private.Bytes(), p.peer[:])
	same(t, "of the pair", kept, p.secret[:])
	other := NewMaster().originPrivate().public()
	ephemeral, err := c.GenerateKeypair(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, private := range map[string]PrivateKey{"static": PrivateKey(p.private.Bytes()), "ephemeral": PrivateKey(ephemeral.Private)} {
		fresh, err := c.DH(private[:], other[:])
		want, _ := shared(private.key(), other)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name+" key with another", fresh, want[:])
	}
}

func TestALinkWithAnOriginKeyOfLowOrderIsNone(t *testing.T) {
	t.Parallel()
	keys := NewMaster().Client(7)
	keys.Origin = PublicKey{}
	if _, err := NewClientPair(keys); err != errLowOrder {
		t.Errorf("got %v, want %v", err, errLowOrder)
	}
}
