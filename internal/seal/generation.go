package seal

import (
	"crypto/subtle"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// generation is the origin's keys that follow from one master secret.
type generation struct {
	master  Master
	private PrivateKey
	public  PublicKey
	users   users
}

func newGeneration(m Master) *generation {
	private := m.originPrivate()
	return &generation{master: m, private: private, public: private.public()}
}

// read opens the first message of a handshake if it was made by user for this
// generation's key. The error is ErrHandshake.
func (g *generation) read(id wire.TunnelID, user uint32, message []byte) (*noise.HandshakeState, []byte, error) {
	static, err := g.suite(user)
	if err != nil {
		return nil, nil, ErrHandshake
	}
	hs, err := noise.NewHandshakeState(config(static, id))
	if err != nil {
		return nil, nil, ErrHandshake
	}
	plain, _, _, err := hs.ReadMessage(nil, message)
	if err != nil || subtle.ConstantTimeCompare(hs.PeerStatic(), static.peer[:]) != 1 {
		return nil, nil, ErrHandshake
	}
	return hs, plain, nil
}

// suite is for the origin's static key with user's, which follows from the master.
func (g *generation) suite(user uint32) (*suite, error) {
	if known := g.users.get(user); known != nil {
		return known, nil
	}
	static, err := between(g.private, g.public, g.master.clientPrivate(user).public())
	if err != nil {
		return nil, err
	}
	made := &suite{pair: static}
	g.users.put(user, made)
	return made, nil
}
