package seal

import (
	"sync/atomic"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// What a handshake message holds besides its payload: the ephemeral key, the
// sealed static key (first message only) and the tag of the payload.
const (
	openHead   = 32 + 32 + 16
	openExtra  = openHead + 16
	acceptSize = 32 + 16
)

// Client is the near end's side of handshakes. It is safe for concurrent use.
type Client struct {
	hidden
	user   uint32
	suite  suite
	valid  bool // the link's keys are fit for use
	now    func() time.Time
	offset atomic.Int64 // nanoseconds that the origin's clock is ahead of now
}

// NewClient computes, once, the secret that the link's keys share. If the
// link's origin key is no fit key, every Open fails with ErrHandshake.
func NewClient(keys ClientKeys, now func() time.Time) *Client {
	static, err := between(keys.Private, keys.Private.public(), keys.Origin)
	return &Client{user: keys.User, suite: suite{pair: static}, valid: err == nil, now: now}
}

// SetOffset says how far the origin's clock is ahead of the client's now, as a
// Reset for wire.Clock told.
func (c *Client) SetOffset(d time.Duration) { c.offset.Store(int64(d)) }

func (c *Client) unix() int64 { return c.now().Add(time.Duration(c.offset.Load())).Unix() }

// Open begins the tunnel id, which leads to s, and returns the payload of its
// Open frame. It keeps neither payload nor early. It fails if s is no service
// or early is longer than wire.MaxEarly.
//
// An Open frame that is sent again, over another carrier, is sent byte for
// byte; to try again after a Reset, take a new id and call Open again.
func (c *Client) Open(id wire.TunnelID, s wire.Service, early []byte) (payload []byte, p *Pending, err error) {
	if !c.valid {
		return nil, nil, ErrHandshake
	}
	buf := make([]byte, openHead, openExtra+maxService+helloFixed+len(early))
	buf, err = hello{c.unix(), c.user, s, early}.append(buf)
	if err != nil {
		return nil, nil, err
	}
	cfg := config(&c.suite, id)
	cfg.Initiator, cfg.PeerStatic = true, c.suite.peer[:]
	hs, err := noise.NewHandshakeState(cfg)
	if err != nil {
		return nil, nil, ErrHandshake
	}
	// What precedes the hello in buf has the length of what WriteMessage puts
	// there, so the hello is sealed in place.
	payload, _, _, err = hs.WriteMessage(buf[:0], buf[openHead:])
	if err != nil {
		return nil, nil, ErrHandshake
	}
	return payload, &Pending{handshake: hs}, nil
}

// Pending is a tunnel whose Accept has not come yet.
type Pending struct {
	hidden
	handshake *noise.HandshakeState
}

// Finish takes the payload of the Accept frame and gives the tunnel's keys. It
// may be called once, by one goroutine; after an error, which is ErrHandshake,
// the tunnel is to be given up.
func (p *Pending) Finish(acceptPayload []byte) (*Keys, error) {
	hs := p.handshake
	p.handshake = nil
	if hs == nil || len(acceptPayload) != acceptSize {
		return nil, ErrHandshake
	}
	_, toOrigin, toClient, err := hs.ReadMessage(nil, acceptPayload)
	if err != nil {
		return nil, ErrHandshake
	}
	return newKeys(toOrigin, toClient), nil
}
