package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// vectors were computed by another implementation, of Noise too. They hold
// every derivation, so that a change of one, which would break every link that
// was handed out, does not go unnoticed.
type vectors struct {
	Master       string
	OriginPublic text
	Gate         text
	Users        []struct {
		User                   uint32
		Private, Public, Token text
	}
	Handshake struct {
		Tunnel                           text
		Time                             int64
		User                             uint32
		Host                             string
		ClientEphemeral, OriginEphemeral text
		Early, Hello, Open, Accept       text
		SplitToOrigin, SplitToClient     text // what Noise ends in
		Hash                             text // of all that was said
		ToOrigin, ToClient               text
	}
	Resumed struct { // with the hello of the handshake
		Name, Secret             text
		Tunnel                   text
		ClientNonce, OriginNonce text
		Open, Accept             text
		ToOrigin, ToClient       text
	}
	Records []struct {
		Kind          wire.Kind
		Pos           uint64 `json:",string"`
		Plain, Sealed text
	}
}

// text is bytes written as hex.
type text []byte

func (b *text) UnmarshalText(in []byte) (err error) {
	*b, err = hex.DecodeString(string(in))
	return err
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v vectors) master(t *testing.T) Master {
	t.Helper()
	m, err := ParseMaster(v.Master)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// at is the time of the handshake in the vectors.
func (v vectors) at() time.Time { return time.Unix(v.Handshake.Time, 0) }

func (v vectors) id() wire.TunnelID { return 0x0102030405060708 }

func (v vectors) resumedID() wire.TunnelID { return 0x1112131415161718 }

func same(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got %x, want %x", what, got, want)
	}
}

func TestKeysFollowFromTheMasterAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	m := v.master(t)
	origin, gate := m.OriginPublic(), m.GateKey()
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
	}
}

func TestTheOriginAcceptsTheOpenOfTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	server := NewServer(v.master(t), v.at)
	opened, err := server.Accept(v.id(), v.Handshake.User, v.Handshake.Open)
	if err != nil {
		t.Fatal(err)
	}
	if want := (wire.Service{Kind: wire.Web, Host: v.Handshake.Host}); opened.Service != want {
		t.Errorf("got %v, want %v", opened.Service, want)
	}
	same(t, "early", opened.Early, v.Handshake.Early)
}

func TestHelloIsWrittenAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	web := wire.Service{Kind: wire.Web, Host: v.Handshake.Host}
	got, err := hello{v.Handshake.Time, v.Handshake.User, web, v.Handshake.Early}.append(nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "hello", got, v.Handshake.Hello)
}

// Both ends run on our suite and configuration, with the vectors' ephemerals.
func TestAHandshakeRunsAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	m := v.master(t)
	client := NewClient(m.Client(v.Handshake.User), v.at)
	cfg := config(client.suite, v.id())
	cfg.Initiator, cfg.PeerStatic, cfg.Random = true, client.suite.peer[:], bytes.NewReader(v.Handshake.ClientEphemeral)
	near := newHandshake(t, cfg)
	open, _, _, err := near.WriteMessage([]byte{openFull}, v.Handshake.Hello)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "open", open, v.Handshake.Open)

	server := NewServer(m, v.at)
	static, err := server.generations[0].suite(v.Handshake.User)
	if err != nil {
		t.Fatal(err)
	}
	cfg = config(static, v.id())
	cfg.Random = bytes.NewReader(v.Handshake.OriginEphemeral)
	far := newHandshake(t, cfg)
	if _, _, _, err := far.ReadMessage(nil, open[1:]); err != nil {
		t.Fatal(err)
	}
	accept, toOrigin, toClient, err := far.WriteMessage(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "accept", accept, v.Handshake.Accept)
	same(t, "hash", far.ChannelBinding(), v.Handshake.Hash)
	first, second := toOrigin.UnsafeKey(), toClient.UnsafeKey()
	same(t, "split, to origin", first[:], v.Handshake.SplitToOrigin)
	same(t, "split, to client", second[:], v.Handshake.SplitToClient)

	keys, err := (&Pending{client: client, handshake: near, keep: true, began: v.at()}).Finish(accept)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "to origin", keys.sealer.key[:], v.Handshake.ToOrigin)
	same(t, "to client", keys.opener.key[:], v.Handshake.ToClient)
	same(t, "name", client.memory.kept.name[:], v.Resumed.Name)
	same(t, "secret", client.memory.kept.secret[:], v.Resumed.Secret)
}

func TestATunnelIsResumedAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	r := resumption{name: name(v.Resumed.Name), secret: [32]byte(v.Resumed.Secret)}
	id, client, origin := v.resumedID(), nonce(v.Resumed.ClientNonce), nonce(v.Resumed.OriginNonce)
	open := r.sealOpen(append(make([]byte, resumedHead), v.Handshake.Hello...), id, &client)
	same(t, "open", open, v.Resumed.Open)
	plain, err := r.openOpen(open, id, &client)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "hello", plain, v.Handshake.Hello)
	accept, far := r.accept(id, &client, &origin)
	same(t, "accept", accept, v.Resumed.Accept)
	near, err := r.finish(accept, id, &client)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "to origin", near.sealer.key[:], v.Resumed.ToOrigin)
	same(t, "to client", near.opener.key[:], v.Resumed.ToClient)
	same(t, "to origin, there", far.opener.key[:], v.Resumed.ToOrigin)
	same(t, "to client, there", far.sealer.key[:], v.Resumed.ToClient)
}

func TestTheOriginAcceptsTheResumedOpenOfTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	server := NewServer(v.master(t), v.at)
	server.store.put(v.Handshake.User, resumption{name: name(v.Resumed.Name), secret: [32]byte(v.Resumed.Secret)})
	opened, err := server.Accept(v.resumedID(), v.Handshake.User, v.Resumed.Open)
	if err != nil {
		t.Fatal(err)
	}
	if want := (wire.Service{Kind: wire.Web, Host: v.Handshake.Host}); opened.Service != want {
		t.Errorf("got %v, want %v", opened.Service, want)
	}
	same(t, "early", opened.Early, v.Handshake.Early)
}

func TestRecordsAreSealedAsInTheVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	keys := new(Keys)
	keys.sealer.key = [32]byte(v.Handshake.ToOrigin)
	keys.opener.key = [32]byte(v.Handshake.ToOrigin)
	for _, r := range v.Records {
		sealed := keys.Seal(append([]byte(nil), r.Plain...), r.Kind, r.Pos)
		same(t, "sealed", sealed, r.Sealed)
		plain, err := keys.Open(sealed, r.Kind, r.Pos)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "opened", plain, r.Plain)
	}
}

func newHandshake(t *testing.T, cfg noise.Config) *noise.HandshakeState {
	t.Helper()
	hs, err := noise.NewHandshakeState(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return hs
}
