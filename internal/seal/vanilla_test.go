package seal

import (
	"crypto/hkdf"
	"crypto/sha256"
	"testing"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// vanilla is the configuration of an end that shares no code with this
// package: the library's own suite, and the name of the pattern spelt out.
func vanilla(id string, private PrivateKey, public PublicKey) noise.Config {
	return noise.Config{
		CipherSuite:   noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256),
		Pattern:       noise.HandshakeIK,
		Prologue:      []byte("culvert 1" + id),
		StaticKeypair: noise.DHKey{Private: private[:], Public: public[:]},
	}
}

const (
	vanillaID   = "\x00\x00\x00\x00\x00\x00\x00\x05"
	vanillaName = "Noise_IK_25519_AESGCM_SHA256"
)

func TestThePatternsNameIsAsDecided(t *testing.T) {
	t.Parallel()
	name := "Noise_" + noise.HandshakeIK.Name + "_" + string((*suite)(nil).Name())
	if name != vanillaName {
		t.Errorf("got %s, want %s", name, vanillaName)
	}
}

func TestAVanillaResponderAnswersTheClient(t *testing.T) {
	t.Parallel()
	m := NewMaster()
	open, pending, err := NewClient(m.Client(7), time.Now).Open(5, chat, []byte("early"))
	if err != nil {
		t.Fatal(err)
	}
	responder := newHandshake(t, vanilla(vanillaID, m.originPrivate(), m.OriginPublic()))
	plain, _, _, err := responder.ReadMessage(nil, open[1:])
	if err != nil {
		t.Fatal(err)
	}
	h, err := parseHello(plain)
	if err != nil || h.user != 7 || h.service != chat || string(h.early) != "early" {
		t.Errorf("got %+v and %v, want user 7, chat and early", h, err)
	}
	static := m.clientPrivate(7).public()
	same(t, "static key", responder.PeerStatic(), static[:])
	accept, toOrigin, toClient, err := responder.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := pending.Finish(accept)
	if err != nil {
		t.Fatal(err)
	}
	toOrigin, toClient = afterSplit(t, responder, toOrigin, toClient)
	agree(t, keys, toOrigin, toClient)
}

func TestAVanillaInitiatorIsAnsweredByTheServer(t *testing.T) {
	t.Parallel()
	m := NewMaster()
	private := m.clientPrivate(7)
	origin := m.OriginPublic()
	cfg := vanilla(vanillaID, private, private.public())
	cfg.Initiator, cfg.PeerStatic = true, origin[:]
	initiator := newHandshake(t, cfg)
	plain, err := hello{time.Now().Unix(), 7, chat, nil}.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	open, _, _, err := initiator.WriteMessage([]byte{openOnce}, plain)
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now().Add(-time.Second)
	opened, err := NewServer(m, func() time.Time { return begin }).Accept(5, 7, open)
	if err != nil {
		t.Fatal(err)
	}
	_, toOrigin, toClient, err := initiator.ReadMessage(nil, opened.Accept)
	if err != nil {
		t.Fatal(err)
	}
	toOrigin, toClient = afterSplit(t, initiator, toOrigin, toClient)
	agree(t, opened.Keys, toClient, toOrigin)
}

// afterSplit makes the tunnel's ciphers from those that Noise ends in.
func afterSplit(t *testing.T, hs *noise.HandshakeState, first, second *noise.CipherState) (toOrigin, toClient *noise.CipherState) {
	t.Helper()
	a, b := first.UnsafeKey(), second.UnsafeKey()
	keys, err := hkdf.Key(sha256.New, append(a[:], b[:]...), hs.ChannelBinding(), "culvert 1 tunnel", 64)
	if err != nil {
		t.Fatal(err)
	}
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	return noise.UnsafeNewCipherState(suite, [32]byte(keys[:32]), 0), noise.UnsafeNewCipherState(suite, [32]byte(keys[32:]), 0)
}

// agree checks that k seals what the peer's cipher opens, and the other way,
// at the position that Noise's own counter would give.
func agree(t *testing.T, k *Keys, sealed, opened *noise.CipherState) {
	t.Helper()
	ad := []byte{byte(wire.Data)}
	for pos := range uint64(3) {
		plain, err := sealed.Decrypt(nil, ad, k.Seal([]byte("there"), wire.Data, pos))
		if err != nil || string(plain) != "there" {
			t.Errorf("sealed at %d: got %q and %v, want there", pos, plain, err)
		}
		record, err := opened.Encrypt(nil, ad, []byte("back"))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := k.Open(record, wire.Data, pos); err != nil || string(plain) != "back" {
			t.Errorf("opened at %d: got %q and %v, want back", pos, plain, err)
		}
	}
}
