package whatsapp

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// ErrNotWhatsApp means something answered that does not speak WhatsApp's
// protocol: a wrong port, a captive portal, an imitation.
var ErrNotWhatsApp = errors.New("the answer is not WhatsApp's")

// ErrClosed means the connection ended before the answer was complete: the
// relay could not reach WhatsApp, or someone on the way cuts such connections.
var ErrClosed = errors.New("closed before WhatsApp answered")

// ErrTimeout means no complete answer came in time.
var ErrTimeout = errors.New("WhatsApp did not answer in time")

// ErrSignature means the server speaks WhatsApp's protocol and cannot prove
// that it is WhatsApp. Trust nothing on this path.
var ErrSignature = errors.New("the server's certificate is not WhatsApp's")

// pinnedRoot is WhatsAppLongTerm1, the Curve25519 key that every client of
// WhatsApp pins (whatsmeow's handshake.go and Baileys' Defaults have the same).
var pinnedRoot = [32]byte{
	0x14, 0x23, 0x75, 0x57, 0x4d, 0x0a, 0x58, 0x71, 0x66, 0xaa, 0xe7, 0x1e, 0xbe, 0x51, 0x64, 0x37,
	0xc4, 0xa2, 0x8b, 0x73, 0xe3, 0x69, 0x5c, 0x6c, 0xe1, 0xf7, 0xf9, 0x54, 0x5d, 0xa8, 0xee, 0x6b,
}

// Root is the public key that signs WhatsApp's certificates.
func Root() [32]byte { return pinnedRoot }

// Proof is what a genuine server told of itself.
type Proof struct {
	LeafSerial, IntermediateSerial uint64
	NotAfter                       time.Time     // when the first certificate expires; zero: never
	RTT                            time.Duration // from our first flight to the whole answer
	Warnings                       []string      // certificates outside their time windows, for people to read
}

// proofWait bounds the wait for an answer; whatsmeow's clients wait as long.
const proofWait = 20 * time.Second

// maxHello bounds the server's first frame. WhatsApp's has about 350 bytes.
const maxHello = 4 << 10

// Prove asks whether conn, directly or through any number of relays, ends at a
// server that holds a key signed by root: Root, or a stand-in's. It does the first
// half of a handshake with a fresh key and stops: no account, no login attempt. It
// waits until ctx ends, at most 20 seconds. The caller closes conn, which is of no
// further use.
//
// The error is ErrNotWhatsApp, ErrClosed, ErrTimeout, ErrSignature or ctx's.
func Prove(ctx context.Context, conn net.Conn, root [32]byte) (Proof, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return Proof{}, fmt.Errorf("make key: %w", err)
	}
	p := prover{root: root, prologue: prologue, ephemeral: key}
	release := bound(ctx, conn, proofWait)
	defer release()
	proof, err := p.prove(conn)
	return proof, explain(ctx, err)
}

// prover is the client's side of one handshake.
type prover struct {
	root      [32]byte
	prologue  string
	ephemeral *ecdh.PrivateKey
	noise     *noiseState // nil until the server's hello
}

func (p *prover) prove(conn net.Conn) (Proof, error) {
	start := time.Now()
	if _, err := conn.Write(p.firstFlight()); err != nil {
		return Proof{}, fmt.Errorf("send hello: %w", err)
	}
	hello, err := readFrame(conn, maxHello)
	if err != nil {
		return Proof{}, fmt.Errorf("read answer: %w", err)
	}
	rtt := time.Since(start)
	c, err := p.serverHello(hello)
	if err != nil {
		return Proof{}, err
	}
	return Proof{
		LeafSerial:         c.leaf.serial,
		IntermediateSerial: c.intermediate.serial,
		NotAfter:           c.notAfter(),
		RTT:                rtt,
		Warnings:           c.warnings(time.Now()),
	}, nil
}

// firstFlight is the 43 bytes that open a connection: the prologue and a frame
// with HandshakeMessage {2 ClientHello {1 ephemeral}}.
func (p *prover) firstFlight() []byte {
	hello := appendBytes(nil, 1, p.ephemeral.PublicKey().Bytes())
	return appendFrame([]byte(p.prologue), appendBytes(nil, 2, hello))
}

// serverHello reads HandshakeMessage {3 ServerHello {1 ephemeral, 2 static,
// 3 payload}} and verifies whose it is.
func (p *prover) serverHello(frame []byte) (chain, error) {
	ephemeral, static, payload, err := parseServerHello(frame)
	if err != nil {
		return chain{}, fmt.Errorf("%w: server hello: %w", ErrNotWhatsApp, err)
	}
	p.noise = newNoiseState(p.prologue)
	p.noise.mixHash(p.ephemeral.PublicKey().Bytes())
	p.noise.mixHash(ephemeral)
	key, err := p.openWith(ephemeral, static)
	if err != nil {
		return chain{}, fmt.Errorf("%w: server key: %w", ErrNotWhatsApp, err)
	}
	cert, err := p.openWith(key, payload)
	if err != nil {
		return chain{}, fmt.Errorf("%w: certificate: %w", ErrNotWhatsApp, err)
	}
	return verifyChain(cert, p.root, [32]byte(key))
}

func (p *prover) openWith(public, ciphertext []byte) ([]byte, error) {
	if err := p.noise.mixKey(p.ephemeral, public); err != nil {
		return nil, err
	}
	return p.noise.open(ciphertext)
}

func parseServerHello(frame []byte) (ephemeral, static, payload []byte, err error) {
	m, err := parseMessage(frame)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := m.bytes(3, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	hello, err := parseBytes(b, 32, 48, 0)
	if err != nil {
		return nil, nil, nil, err
	}
	return hello[0], hello[1], hello[2], nil
}

// noiseName is exactly as long as a hash, so Noise takes it as it is (section
// 5.2 of its specification pads with zeros).
const noiseName = "Noise_XX_25519_AESGCM_SHA256\x00\x00\x00\x00"

// prologue opens a connection of WhatsApp Web and desktop: protocol 6,
// dictionary 3.
const prologue = "WA\x06\x03"

// noiseState is the client's side of WhatsApp's handshake. It is Noise XX with
// one difference: the empty payload of the first message is not hashed.
type noiseState struct {
	hash, salt [32]byte
	aead       cipher.AEAD
	nonce      uint64
}

func newNoiseState(prologue string) *noiseState {
	s := &noiseState{hash: [32]byte([]byte(noiseName)), salt: [32]byte([]byte(noiseName))}
	s.mixHash([]byte(prologue))
	return s
}

func (s *noiseState) mixHash(b []byte) {
	h := sha256.New()
	h.Write(s.hash[:])
	h.Write(b)
	h.Sum(s.hash[:0])
}

// mixKey does a Diffie-Hellman exchange and starts a new key with it. An error
// means that public is a point without a secret.
func (s *noiseState) mixKey(private *ecdh.PrivateKey, public []byte) error {
	key, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return err
	}
	secret, err := private.ECDH(key)
	if err != nil {
		return err
	}
	okm, err := hkdf.Key(sha256.New, secret, s.salt[:], "", 64)
	if err != nil {
		return err
	}
	s.salt, s.nonce = [32]byte(okm[:32]), 0
	s.aead, err = newGCM(okm[32:])
	return err
}

// open decrypts ciphertext, which it leaves as it is.
func (s *noiseState) open(ciphertext []byte) ([]byte, error) {
	nonce := binary.BigEndian.AppendUint64(make([]byte, 4, 12), s.nonce) // as Noise has it for AES-GCM
	plain, err := s.aead.Open(nil, nonce, ciphertext, s.hash[:])
	if err != nil {
		return nil, err
	}
	s.nonce++
	s.mixHash(ciphertext)
	return plain, nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// errFrameSize means the peer announced a frame that is empty or larger than the
// reader takes.
var errFrameSize = errors.New("frame of a size not expected")

// appendFrame writes data as a frame; its length must fit into 3 bytes, big-endian.
func appendFrame(b, data []byte) []byte {
	n := len(data)
	return append(append(b, byte(n>>16), byte(n>>8), byte(n)), data...)
}

// readFrame reads one frame of at most limit bytes. An end amid a frame is an
// unexpected one.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if n == 0 || n > limit {
		return nil, errFrameSize
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return frame, nil
}

// bound makes reads and writes of conn fail when ctx ends and after limit at
// the latest. Call release when done: it lifts the bound.
func bound(ctx context.Context, conn net.Conn, limit time.Duration) (release func()) {
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		conn.SetDeadline(time.Unix(1, 0))
		close(fired)
	})
	return func() {
		if !stop() {
			<-fired
		}
		conn.SetDeadline(time.Time{})
	}
}

// explain turns an error of a connection into one that a person can act on,
// without the addresses that the system's errors carry.
func explain(ctx context.Context, err error) error {
	var netErr net.Error
	switch {
	case err == nil || errors.Is(err, ErrNotWhatsApp) || errors.Is(err, ErrSignature):
		return err
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.Is(err, errFrameSize):
		return fmt.Errorf("%w: %w", ErrNotWhatsApp, errFrameSize)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return ErrTimeout
	}
	return ErrClosed
}
