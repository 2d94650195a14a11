package origin

import (
	"encoding/binary"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/session"
	"culvert/internal/wire"
)

// RawClient is a client's end of one connection of API Gateway, message by message. It
// is for tests of this package.
type RawClient struct {
	t       testing.TB
	keys    seal.ClientKeys
	pair    *seal.Pair
	session *session.Client
	token   wire.Token
	carrier *session.ClientCarrier
}

// NewRawClient makes a connection of a session of its own.
func NewRawClient(t testing.TB, keys seal.ClientKeys) *RawClient {
	t.Helper()
	pair, err := seal.NewClientPair(keys)
	if err != nil {
		t.Fatal(err)
	}
	return newRawClient(t, keys, pair, session.NewClient(pair, session.AESGCM))
}

func newRawClient(t testing.TB, keys seal.ClientKeys, pair *seal.Pair, s *session.Client) *RawClient {
	token := wire.NewToken(keys.User, keys.Token, pair.ProofKey(), time.Now())
	return &RawClient{t, keys, pair, s, token, s.Carrier(session.Gateway, token)}
}

// Next makes another connection of the same session.
func (c *RawClient) Next() *RawClient { return newRawClient(c.t, c.keys, c.pair, c.session) }

// Token is what the hello holds, as text.
func (c *RawClient) Token() string { return c.token.Text() }

// Hello is the first message. To be sent again it is kept, not made again.
func (c *RawClient) Hello(ticket string) []byte {
	pad := wire.Frame{Kind: wire.Pad}
	return c.message(c.Token(), ticket, 0, pad.Append(nil))
}

// HelloOpening is Hello, and begins the first tunnels of the session, as many.
func (c *RawClient) HelloOpening(tunnels uint32) []byte {
	return c.message(c.Token(), "", 0, opens(1, tunnels))
}

// opens are Open frames for chat.
func opens(first, last uint32) (b []byte) {
	for id := first; id <= last; id++ {
		open := wire.Frame{Kind: wire.Open, Tunnel: id, Body: wire.AppendService(nil, wire.Service{Kind: wire.Chat})}
		b = open.Append(b)
	}
	return b
}

// Message is another one, with a Ping. Its number is greater than those before, and the
// answer to the hello has been heard.
func (c *RawClient) Message(ticket string, number uint32) []byte {
	ping := wire.Frame{Kind: wire.Ping}
	return c.message("", ticket, number, ping.Append(nil))
}

func (c *RawClient) message(token, ticket string, number uint32, frames []byte) []byte {
	c.t.Helper()
	body, ok := c.carrier.Head(binary.BigEndian.AppendUint32(nil, number), time.Now())
	if !ok {
		c.t.Fatal("the client has nothing to seal by")
	}
	head := len(body)
	sealed, err := c.carrier.SealMessage(number, append(body, frames...), head)
	if err != nil {
		c.t.Fatal(err)
	}
	return wire.AppendText(wire.AppendUp(nil, token, ticket), sealed)
}

// Hear takes what the origin has posted, and returns the frames in it.
func (c *RawClient) Hear(text []byte) []byte {
	c.t.Helper()
	_, coded, err := wire.ParseDown(text)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := wire.AppendBytes(nil, coded)
	if err != nil {
		c.t.Fatal(err)
	}
	number := binary.BigEndian.Uint32(body)
	p, plain, sealed, err := session.Next(body[4:])
	if err == nil {
		_, err = c.carrier.Receive(p, plain, time.Now())
	}
	if err == nil && len(sealed) > 0 {
		sealed, err = c.carrier.Open(number, sealed)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return sealed
}
