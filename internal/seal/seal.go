// Package seal encrypts what a tunnel carries and proves each end to the
// other, so that fronts, gateways and functions see ciphertext only.
//
// Every tunnel begins with one Noise_IK_25519_AESGCM_SHA256 handshake
// (https://noiseprotocol.org/noise.html). Its first message is the payload of
// the Open frame and carries the service and the stream's first bytes, so it
// costs no round trip; its second is the payload of the Accept frame. After
// that each frame's payload is one AES-256-GCM record under the key of its
// direction.
//
// The early bytes in an Open frame have less protection than all that follows:
// whoever obtains the origin's private key later can read them.
package seal

import (
	"encoding/binary"
	"errors"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// ErrHandshake means the message is not from the party that it should be
// from: a wrong key or user, a revoked user, a message of another tunnel, one
// that was altered, or garbage. Nothing says which. Reset the tunnel with
// wire.Refused.
var ErrHandshake = errors.New("handshake refused")

// ErrReplay means this first message was accepted before. Reset the tunnel
// with wire.Refused: no honest client sends one to two tunnels.
var ErrReplay = errors.New("handshake was used before")

// ErrClock means a genuine client's clock is off by more than ClockWindow, or
// its message is older than the memory against replays. Reset the tunnel with
// wire.Clock and the origin's time; the client calls SetOffset and tries once
// more.
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
// sealed at ControlPos | epoch, which is above 0, and the proof in a resumed
// Accept at ControlPos.
const ControlPos = 1 << 63

// prologue binds a handshake to this protocol and to its tunnel.
func prologue(id wire.TunnelID) []byte {
	return binary.BigEndian.AppendUint64([]byte("culvert 1"), uint64(id))
}

// config is what both ends' handshakes have in common.
func config(s *suite, id wire.TunnelID) noise.Config {
	return noise.Config{
		CipherSuite:   s,
		Pattern:       noise.HandshakeIK,
		Prologue:      prologue(id),
		StaticKeypair: noise.DHKey{Private: s.private[:], Public: s.public[:]},
	}
}
