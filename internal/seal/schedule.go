package seal

import (
	"encoding/binary"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// The labels of what follows from a handshake, none the beginning of another
// or of one in master.go. An ID is the 8 bytes of the tunnel's.
const (
	labelTunnel  = "culvert 1 tunnel"            // keys of the tunnel that the handshake opened
	labelSecret  = "culvert 1 resumption secret" // what later tunnels resume from
	labelName    = "culvert 1 resumption name"   // how they call it
	labelOpen    = "culvert 1 resumed open"      // before an ID: key of the hello in a resumed Open
	labelResumed = "culvert 1 resumed tunnel"    // before an ID: keys of the tunnel
)

type (
	name  [16]byte // of a resumption; public, and random to whoever does not hold the secret
	nonce [16]byte
)

// resumption is the secret that one handshake leaves to both ends, from which
// later tunnels are opened without another handshake.
type resumption struct {
	hidden
	name   name
	secret [32]byte
}

// directions are a tunnel's two keys.
type directions struct {
	hidden
	toOrigin, toClient [32]byte
}

// afterHandshake extracts from the two keys that Noise ends in, salted by the
// hash of all that was said. Those two are kept nowhere: who takes the keys of
// a tunnel that lives for hours learns nothing of the tunnels that resumed.
func afterHandshake(hs *noise.HandshakeState, toOrigin, toClient *noise.CipherState) prk {
	first, second := toOrigin.UnsafeKey(), toClient.UnsafeKey()
	var both [64]byte
	copy(both[:32], first[:])
	copy(both[32:], second[:])
	return extract(both[:], hs.ChannelBinding())
}

func (p *prk) directions(label string, context []byte) (d directions) {
	var out [64]byte
	p.expand(out[:], label, context)
	return directions{toOrigin: [32]byte(out[:32]), toClient: [32]byte(out[32:])}
}

func (p *prk) resumption() (r resumption) {
	p.expand(r.secret[:], labelSecret, nil)
	p.expand(r.name[:], labelName, nil)
	return r
}

// openKey seals the hello of a resumed Open.
func (r *resumption) openKey(id wire.TunnelID, client *nonce) (key [32]byte) {
	context := tunnelBytes(id)
	p := extract(r.secret[:], client[:])
	p.expand(key[:], labelOpen, context[:])
	return key
}

// directions depend on both ends' nonces: they are fresh if either end's is.
func (r *resumption) directions(id wire.TunnelID, client, origin *nonce) directions {
	var salt [32]byte
	copy(salt[:16], client[:])
	copy(salt[16:], origin[:])
	context := tunnelBytes(id)
	p := extract(r.secret[:], salt[:])
	return p.directions(labelResumed, context[:])
}

func tunnelBytes(id wire.TunnelID) (b [8]byte) {
	binary.BigEndian.PutUint64(b[:], uint64(id))
	return b
}
