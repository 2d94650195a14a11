// Package seal encrypts what a tunnel carries and proves each end to the
// other, so that fronts, gateways and functions see ciphertext only.
//
// A client's first tunnel begins with a Noise_IK_25519_AESGCM_SHA256 handshake
// (https://noiseprotocol.org/noise.html). Its first message is in the payload
// of the Open frame and carries the service and the stream's first bytes, so it
// costs no round trip; its second is the payload of the Accept frame. After
// that each frame's payload is one AES-256-GCM record under the key of its
// direction.
//
// The handshake leaves a secret to both ends, from which that client's next
// tunnels resume, as in TLS 1.3 (RFC 8446, section 2.2): the same payloads, keys
// that no two tunnels share, no X25519. A full handshake costs both ends
// together about 200 µs, 167 of them for eight operations of X25519, and a resumed
// one less than 10 (AMD EPYC, one core; a phone without fast arithmetic spends
// milliseconds on X25519). A client resumes from one secret for 5 minutes and
// 4,096 tunnels at most; the origin keeps it for 6 minutes.
//
// Forward secrecy is that of the secret. Whoever takes one from an end's memory
// can read the tunnels that resumed from it, of that client and of those
// minutes. Once both ends have dropped it nobody can, even with the keys of all
// links, the origin's and those of tunnels that live on: none of them leads to
// the secret. Tunnels before it and after it are not touched.
//
// The early bytes in the Open frame of a full handshake have less protection
// than all that follows: whoever obtains the origin's private key later can
// read them. Those of a resumed one have the protection of its secret.
package seal

import (
	"encoding/binary"
	"errors"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// ErrHandshake means the message is not from the party that it should be
// from: a wrong key or user, a message of another tunnel, one
// that was altered, or garbage. Nothing says which. Reset the tunnel with
// wire.Refused.
var ErrHandshake = errors.New("handshake refused")

// ErrReplay means this first message was accepted before. Reset the tunnel
// with wire.Refused: no honest client sends one to two tunnels.
var ErrReplay = errors.New("handshake was used before")

// ErrClock means a genuine client's clock is off by more than ClockWindow, or
// its message is older than the memory against replays. Reset the tunnel with
// wire.Clock and the origin's time; the client calls SetOffset and OpenAnew.
var ErrClock = errors.New("handshake's time is off")

// ErrStale means the origin has nothing that this first message could resume
// from: it is too old, the origin was restarted, or the message is not user's.
// Reset the tunnel with wire.Stale; the client calls Void and then OpenAnew.
var ErrStale = errors.New("nothing to resume from")

// ErrRecord means a record was altered, or belongs to another tunnel, direction,
// kind or position. Drop the frame; the genuine one can still come.
var ErrRecord = errors.New("record is not genuine")

// ClockWindow is how far the time in a first message may be from the origin's,
// either way.
const ClockWindow = 2 * time.Minute

// ControlPos is set in the position of records that hold no bytes of the
// stream, so that they never share a nonce with one that does: an Attach is
// sealed at ControlPos | epoch, and the proof in a resumed Accept, which goes
// the other way, at ControlPos.
const ControlPos = 1 << 63

// config is what both ends' handshakes have in common. The prologue binds one to this
// protocol and to its tunnel.
func config(s *suite, id wire.TunnelID) noise.Config {
	return noise.Config{
		CipherSuite:   s,
		Pattern:       noise.HandshakeIK,
		Prologue:      binary.BigEndian.AppendUint64([]byte("culvert 1"), uint64(id)),
		StaticKeypair: noise.DHKey{Private: s.private[:], Public: s.public[:]},
	}
}
