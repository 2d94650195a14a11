package seal

import (
	"crypto/rand"
	"sync/atomic"
	"time"

	"culvert/internal/wire"

	"github.com/flynn/noise"
)

// What a full handshake's payloads hold besides the hello: the kind, the
// ephemeral key, the sealed static key (first message only) and the tag.
const (
	openHead   = 1 + 32 + 32 + 16
	openExtra  = openHead + 16
	acceptSize = 32 + 16
)

// Client is the near end's side of handshakes. It is safe for concurrent use.
type Client struct {
	hidden
	user   uint32
	suite  *suite
	valid  bool // the link's keys are fit for use
	now    func() time.Time
	offset atomic.Int64 // nanoseconds that the origin's clock is ahead of now
	memory memory
}

// NewClient computes, once, the secret that the link's keys share. If the
// link's origin key is no fit key, every Open fails with ErrHandshake.
func NewClient(keys ClientKeys, now func() time.Time) *Client {
	suite, err := newSuite(keys.Private, keys.Private.public(), keys.Origin)
	return &Client{user: keys.User, suite: suite, valid: err == nil, now: now}
}

// SetOffset says how far the origin's clock is ahead of the client's now, as a
// Reset for wire.Clock told.
func (c *Client) SetOffset(d time.Duration) { c.offset.Store(int64(d)) }

func (c *Client) unix() int64 { return c.now().Add(time.Duration(c.offset.Load())).Unix() }

// Open begins the tunnel id, which leads to s, and returns the payload of its
// Open frame. It resumes from an earlier tunnel if it can. It keeps neither
// payload nor early. It fails if s is no service or early is longer than
// wire.MaxEarly.
//
// An Open frame that is sent again, over another carrier, is sent byte for
// byte; to try again after a Reset, call Void and then OpenAnew.
func (c *Client) Open(id wire.TunnelID, s wire.Service, early []byte) (payload []byte, p *Pending, err error) {
	buf, err := c.hello(s, early)
	if err != nil {
		return nil, nil, err
	}
	now := c.now()
	how, r := c.memory.next(now)
	if how == openResumed {
		return c.resume(id, r, buf)
	}
	return c.handshake(id, how, now, buf)
}

// OpenAnew is Open with a full handshake, whatever there is to resume from.
func (c *Client) OpenAnew(id wire.TunnelID, s wire.Service, early []byte) (payload []byte, p *Pending, err error) {
	buf, err := c.hello(s, early)
	if err != nil {
		return nil, nil, err
	}
	now := c.now()
	return c.handshake(id, c.memory.anew(now), now, buf)
}

// hello has openHead bytes before it, so that it can be sealed in place.
func (c *Client) hello(s wire.Service, early []byte) ([]byte, error) {
	if !c.valid {
		return nil, ErrHandshake
	}
	buf := make([]byte, openHead, openExtra+maxService+helloFixed+len(early))
	return hello{c.unix(), c.user, s, early}.append(buf)
}

func (c *Client) handshake(id wire.TunnelID, how byte, now time.Time, buf []byte) ([]byte, *Pending, error) {
	cfg := config(c.suite, id)
	cfg.Initiator, cfg.PeerStatic = true, c.suite.peer[:]
	hs, err := noise.NewHandshakeState(cfg)
	if err != nil {
		return nil, nil, ErrHandshake
	}
	buf[0] = how
	// What precedes the hello in buf has the length of what WriteMessage puts there.
	payload, _, _, err := hs.WriteMessage(buf[:1], buf[openHead:])
	if err != nil {
		return nil, nil, ErrHandshake
	}
	return payload, &Pending{client: c, handshake: hs, keep: how == openFull, began: now}, nil
}

func (c *Client) resume(id wire.TunnelID, r resumption, buf []byte) ([]byte, *Pending, error) {
	p := &Pending{client: c, resumed: true, id: id, from: r}
	rand.Read(p.nonce[:])
	return r.sealOpen(buf[openHead-resumedHead:], id, &p.nonce), p, nil
}

// Pending is a tunnel whose Accept has not come yet. One goroutine at a time
// may use it.
type Pending struct {
	hidden
	client *Client

	handshake *noise.HandshakeState // full: until Finish
	keep      bool                  // full: the client means to resume from it
	began     time.Time             // full

	resumed bool // until Finish
	id      wire.TunnelID
	nonce   nonce
	from    resumption // a copy: the client may forget its own meanwhile
}

// Finish takes the payload of the Accept frame, of which it alters nothing, and
// gives the tunnel's keys. It may be called once; after an error, which is
// ErrHandshake, the tunnel is to be given up.
func (p *Pending) Finish(acceptPayload []byte) (*Keys, error) {
	hs, resumed, from := p.handshake, p.resumed, p.from
	p.handshake, p.resumed, p.from = nil, false, resumption{}
	switch {
	case hs != nil:
		return p.finish(hs, acceptPayload)
	case resumed:
		return from.finish(acceptPayload, p.id, &p.nonce)
	}
	return nil, ErrHandshake
}

func (p *Pending) finish(hs *noise.HandshakeState, accept []byte) (*Keys, error) {
	if len(accept) != acceptSize {
		return nil, ErrHandshake
	}
	_, toOrigin, toClient, err := hs.ReadMessage(nil, accept)
	if err != nil {
		return nil, ErrHandshake
	}
	after := afterHandshake(hs, toOrigin, toClient)
	if p.keep {
		p.client.memory.put(after.resumption(), p.began, p.client.now())
	}
	d := after.directions(labelTunnel, nil)
	return newKeys(&d.toOrigin, &d.toClient), nil
}

// Void says that the origin has reset this Open, as for ErrStale or ErrClock:
// the client does not use again what it was made from.
func (p *Pending) Void() {
	switch {
	case p.resumed:
		p.client.memory.forget(p.from.name)
	case p.keep:
		p.client.memory.unask()
	}
	p.handshake, p.resumed, p.from = nil, false, resumption{}
}
