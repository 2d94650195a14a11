// Package app is the app of a user as far as a stand-in for WhatsApp needs one:
// it logs in and exchanges chat messages, and loads media down and up. It comes
// through whatever connection it is given. Tests, load and demonstrations use it.
package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"culvert/internal/whatsapp"

	"github.com/flynn/noise"
	"google.golang.org/protobuf/encoding/protowire"
)

// errRealServer means that Exchange was asked to log in to WhatsApp.
var errRealServer = errors.New("a chat exchange is for stand-ins only")

// errEcho means that a message came back altered.
var errEcho = errors.New("message came back altered")

const (
	// exchangeSize is how many bytes each message has, about as many as a ping of
	// the app.
	exchangeSize = 64
	// answerWait bounds the wait for one answer; whatsmeow's clients wait as long.
	answerWait = 20 * time.Second
	// maxFrame bounds the frames that a stand-in may send.
	maxFrame = 4 << 10
	// prologue opens a connection of WhatsApp Web and desktop: protocol 6,
	// dictionary 3.
	prologue = "WA\x06\x03"
)

// Exchange does the whole handshake with a stand-in whose root is given, sends n
// messages one after another and returns how long each took to come back. It
// refuses WhatsApp's own root, and a server that root did not certify hears
// nothing but a first flight: this is never a login attempt. It waits until ctx
// ends, at most 20 seconds for one answer. The caller closes conn.
//
// The error is one of whatsapp.Prove's, or says that a message came back altered.
func Exchange(ctx context.Context, conn net.Conn, root [32]byte, n int) ([]time.Duration, error) {
	if root == whatsapp.Root() {
		return nil, errRealServer
	}
	c := chat{conn: conn}
	if err := c.within(ctx, func() error { return c.login(root) }); err != nil {
		return nil, err
	}
	var trips []time.Duration
	for i := range n {
		start := time.Now()
		if err := c.within(ctx, c.echo); err != nil {
			return trips, fmt.Errorf("message %d: %w", i, err)
		}
		trips = append(trips, time.Since(start))
	}
	return trips, nil
}

// chat is a connection to the chat of a stand-in; its ciphers are set by login.
type chat struct {
	conn          net.Conn
	send, receive *noise.CipherState
}

// within runs step until ctx ends and no longer than answerWait, and gives errors
// of the connection the names that internal/whatsapp has for them.
func (c *chat) within(ctx context.Context, step func() error) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetDeadline(time.Unix(1, 0))
		close(fired)
	})
	err := step()
	if !stop() {
		<-fired
	}
	c.conn.SetDeadline(time.Time{})
	return explain(ctx, err)
}

// explain leaves errors alone that say by themselves what the server did.
func explain(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, whatsapp.ErrNotWhatsApp), errors.Is(err, whatsapp.ErrSignature), errors.Is(err, errEcho):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return whatsapp.ErrTimeout
	}
	return whatsapp.ErrClosed
}

// login is the client's side of Noise XX as WhatsApp frames it, to the client's
// finish, which carries a fresh key and no account.
func (c *chat) login(root [32]byte) error {
	state, hello, err := newState()
	if err != nil {
		return err
	}
	flight := append([]byte(prologue), frame(blob(nil, 2, blob(nil, 1, hello)))...)
	if _, err := c.conn.Write(flight); err != nil {
		return err
	}
	answer, err := c.readFrame()
	if err != nil {
		return err
	}
	chain, err := readHello(state, answer)
	if err != nil {
		return err
	}
	if err := verify(chain, root, state.PeerStatic()); err != nil {
		return err
	}
	finish, send, receive, err := state.WriteMessage(nil, nil)
	if err != nil {
		return err
	}
	c.send, c.receive = send, receive
	_, err = c.conn.Write(frame(blob(nil, 4, blob(blob(nil, 1, finish[:48]), 2, finish[48:]))))
	return err
}

// newState is a handshake after the client's hello, and the key in that hello.
// WhatsApp does not hash the empty payload of XX's first message, which a Noise
// library must. So this is the rest of XX with the client's ephemeral as a
// pre-message, as in XXfallback, where the server is the initiator: its "se" is
// XX's "es". The name stays XX.
func newState() (state *noise.HandshakeState, hello []byte, err error) {
	suite := noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
	var keys [2]noise.DHKey // ephemeral and static
	for i := range keys {
		if keys[i], err = suite.GenerateKeypair(rand.Reader); err != nil {
			return nil, nil, err
		}
	}
	state, err = noise.NewHandshakeState(noise.Config{
		CipherSuite: suite,
		Pattern: noise.HandshakePattern{
			Name:                 "XX",
			ResponderPreMessages: []noise.MessagePattern{noise.MessagePatternE},
			Messages: [][]noise.MessagePattern{
				{noise.MessagePatternE, noise.MessagePatternDHEE, noise.MessagePatternS, noise.MessagePatternDHSE},
				{noise.MessagePatternS, noise.MessagePatternDHES},
			},
		},
		Prologue:         []byte(prologue),
		EphemeralKeypair: keys[0],
		StaticKeypair:    keys[1],
	})
	return state, keys[0].Public, err
}

// readHello reads HandshakeMessage {3 ServerHello {1 ephemeral, 2 static,
// 3 payload}} and returns the certificate chain, which is the payload.
func readHello(state *noise.HandshakeState, answer []byte) ([]byte, error) {
	hello := find(answer, 3)
	ephemeral, static, payload := find(hello, 1), find(hello, 2), find(hello, 3)
	if len(ephemeral) != 32 || len(static) != 48 {
		return nil, fmt.Errorf("%w: server hello", whatsapp.ErrNotWhatsApp)
	}
	chain, _, _, err := state.ReadMessage(nil, bytes.Join([][]byte{ephemeral, static, payload}, nil))
	if err != nil {
		return nil, fmt.Errorf("%w: server hello: %w", whatsapp.ErrNotWhatsApp, err)
	}
	return chain, nil
}

// echo sends a message of random bytes and waits for it.
func (c *chat) echo() error {
	msg := make([]byte, exchangeSize)
	rand.Read(msg)
	sealed, err := c.send.Encrypt(nil, nil, msg)
	if err != nil {
		return err
	}
	if _, err := c.conn.Write(frame(sealed)); err != nil {
		return err
	}
	if sealed, err = c.readFrame(); err != nil {
		return err
	}
	if got, err := c.receive.Decrypt(nil, nil, sealed); err != nil || !bytes.Equal(got, msg) {
		return errEcho
	}
	return nil
}

// readFrame reads one frame: a length of 3 bytes and as many bytes.
func (c *chat) readFrame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.conn, head[1:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxFrame {
		return nil, fmt.Errorf("%w: frame of %d bytes", whatsapp.ErrNotWhatsApp, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(c.conn, b)
	return b, err
}

func frame(data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(data)))[1:], data...)
}

func blob(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// find is field num of message b if it is there and bytes, else nil.
func find(b []byte, num protowire.Number) []byte {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeField(b)
		if size < 0 {
			return nil
		}
		if n == num && typ == protowire.BytesType {
			_, _, tag := protowire.ConsumeTag(b)
			v, _ := protowire.ConsumeBytes(b[tag:])
			return v
		}
		b = b[size:]
	}
	return nil
}
