package whatsapp

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// errRealServer means Exchange was asked to log in to WhatsApp.
var errRealServer = errors.New("a chat exchange is for stand-ins only")

// errEcho means a message came back altered.
var errEcho = errors.New("message came back altered")

// exchangeSize is how many bytes each message has, about as many as a ping of
// the app.
const exchangeSize = 64

// Exchange does the whole handshake with a StandIn whose root is given, sends n
// messages one after another and returns how long each took to come back. It
// refuses WhatsApp's own root, and a server that root did not certify hears
// nothing but a first flight: this is never a login attempt. It waits until ctx
// ends, at most 20 seconds for one answer. The caller closes conn.
//
// The error is one of Prove's, or says that a message came back altered.
func Exchange(ctx context.Context, conn net.Conn, root [32]byte, n int) ([]time.Duration, error) {
	if root == pinnedRoot {
		return nil, errRealServer
	}
	x, err := login(ctx, conn, root)
	if err != nil {
		return nil, explain(ctx, err)
	}
	var trips []time.Duration
	for i := range n {
		trip, err := x.trip(ctx, i)
		if err != nil {
			return trips, fmt.Errorf("message %d: %w", i, err)
		}
		trips = append(trips, trip)
	}
	return trips, nil
}

// exchanger is a client after the handshake.
type exchanger struct {
	conn          net.Conn
	send, receive cipher.AEAD
}

func login(ctx context.Context, conn net.Conn, root [32]byte) (*exchanger, error) {
	keys := make([]*ecdh.PrivateKey, 2)
	for i := range keys {
		var err error
		if keys[i], err = ecdh.X25519().GenerateKey(rand.Reader); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
	}
	release := bound(ctx, conn, proofWait)
	defer release()
	p := prover{root: root, prologue: prologue, ephemeral: keys[0]}
	if _, err := p.prove(conn); err != nil {
		return nil, err
	}
	finish, err := p.clientFinish(keys[1])
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(finish); err != nil {
		return nil, fmt.Errorf("send finish: %w", err)
	}
	x := &exchanger{conn: conn}
	x.send, x.receive, err = p.noise.split()
	return x, err
}

// clientFinish is the frame with HandshakeMessage {4 ClientFinish {1 static,
// 2 payload}} that would log in; the payload is empty.
func (p *prover) clientFinish(static *ecdh.PrivateKey) ([]byte, error) {
	key := p.noise.seal(static.PublicKey().Bytes())
	if err := p.noise.mixKey(static, p.serverEphemeral); err != nil {
		return nil, err
	}
	finish := appendBytes(appendBytes(nil, 1, key), 2, p.noise.seal(nil))
	return appendFrame(nil, appendBytes(nil, 4, finish)), nil
}

// trip sends message i and waits for it.
func (x *exchanger) trip(ctx context.Context, i int) (time.Duration, error) {
	release := bound(ctx, x.conn, proofWait)
	defer release()
	msg := make([]byte, exchangeSize)
	if _, err := io.ReadFull(rand.Reader, msg); err != nil {
		return 0, err
	}
	start, nonce := time.Now(), gcmNonce(uint64(i))
	if _, err := x.conn.Write(appendFrame(nil, x.send.Seal(nil, nonce, msg, nil))); err != nil {
		return 0, explain(ctx, err)
	}
	frame, err := readFrame(x.conn, nil, maxHello)
	if err != nil {
		return 0, explain(ctx, err)
	}
	trip := time.Since(start)
	if got, err := x.receive.Open(nil, nonce, frame, nil); err != nil || !bytes.Equal(got, msg) {
		return 0, errEcho
	}
	return trip, nil
}
