package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/flynn/noise"

	"culvert/internal/wire"
)

// hello is what a first message holds.
//
//	 0  version  1  1
//	 1  time     8  Unix seconds
//	 9  user     4
//	13  service     as wire.AppendService writes it
//	 …  early       bytes of the stream, at most wire.MaxEarly
//
// All numbers are big-endian.
type hello struct {
	time    int64
	user    uint32
	service wire.Service
	early   []byte
}

const (
	helloVersion = 1
	helloFixed   = 13
	maxService   = 2 + 253
	maxHello     = helloFixed + maxService + wire.MaxEarly
)

// append fails if a hello may not hold the service or that many early bytes.
func (h hello) append(b []byte) ([]byte, error) {
	if len(h.early) > wire.MaxEarly {
		return nil, fmt.Errorf("open: %d early bytes are more than %d", len(h.early), wire.MaxEarly)
	}
	b = append(b, helloVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(h.time))
	b = binary.BigEndian.AppendUint32(b, h.user)
	service := len(b)
	b = wire.AppendService(b, h.service)
	if s, rest, err := wire.ParseService(b[service:]); err != nil || s != h.service || len(rest) > 0 {
		return nil, fmt.Errorf("open: %w", wire.ErrService)
	}
	return append(b, h.early...), nil
}

// parseHello reads a hello; its early bytes alias b.
func parseHello(b []byte) (hello, error) {
	if len(b) < helloFixed || b[0] != helloVersion {
		return hello{}, ErrHandshake
	}
	h := hello{time: int64(binary.BigEndian.Uint64(b[1:])), user: binary.BigEndian.Uint32(b[9:])}
	var err error
	if h.service, h.early, err = wire.ParseService(b[helloFixed:]); err != nil || len(h.early) > wire.MaxEarly {
		return hello{}, ErrHandshake
	}
	return h, nil
}

// The labels of what follows from a handshake, none the beginning of another
// or of one in keys.go. An ID is the 8 bytes of the tunnel's.
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

// prk is what HKDF-SHA256 (RFC 5869) extracts and expands. Opening a tunnel
// takes four of them and crypto/hkdf allocates twenty times for each; here
// nothing leaves the stack. Tests compare the two.
type prk [sha256.Size]byte

func extract(secret, salt []byte) prk { return mac(salt, secret) }

// expand fills out, at most 255 times 32 bytes, under label followed by context.
func (p *prk) expand(out []byte, label string, context []byte) {
	var buf [128]byte
	block := buf[:0]
	for i := byte(1); len(out) > 0; i++ {
		block = append(append(append(block, label...), context...), i)
		t := mac(p[:], block)
		out = out[copy(out, t[:]):]
		block = append(buf[:0], t[:]...)
	}
}

// mac is HMAC-SHA256 (RFC 2104) under a key of at most 64 bytes.
func mac(key, message []byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + 128]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:sha256.BlockSize], key)
	copy(outer[:sha256.BlockSize], key)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	sum := sha256.Sum256(append(inner[:sha256.BlockSize], message...))
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}

// suite is the noise.CipherSuite of one end's static key and the peer's. No two
// handshakes of these two ends differ in the secret that the keys share, so it is
// computed once. A suite is read only, and so serves any number of handshakes at once.
type suite struct {
	hidden
	private PrivateKey
	public  PublicKey
	peer    PublicKey
	secret  [32]byte
}

// newSuite fails if peer is a point of low order.
func newSuite(private PrivateKey, public, peer PublicKey) (*suite, error) {
	secret, err := private.shared(peer)
	return &suite{private: private, public: public, peer: peer, secret: secret}, err
}

func (*suite) Name() []byte       { return []byte("25519_AESGCM_SHA256") }
func (*suite) DHName() string     { return "25519" }
func (*suite) CipherName() string { return "AESGCM" }
func (*suite) HashName() string   { return "SHA256" }
func (*suite) DHLen() int         { return len(PublicKey{}) }
func (*suite) Hash() hash.Hash    { return sha256.New() }

// DH multiplies, unless it is asked for the secret that s has.
func (s *suite) DH(private, public []byte) ([]byte, error) {
	same := subtle.ConstantTimeCompare(private, s.private[:]) & subtle.ConstantTimeCompare(public, s.peer[:])
	if same == 1 {
		return s.secret[:], nil
	}
	secret, err := PrivateKey(private).shared(PublicKey(public))
	return secret[:], err
}

func (*suite) GenerateKeypair(random io.Reader) (noise.DHKey, error) {
	var private PrivateKey
	if _, err := io.ReadFull(random, private[:]); err != nil {
		return noise.DHKey{}, err
	}
	public := private.public()
	return noise.DHKey{Private: private[:], Public: public[:]}, nil
}

func (*suite) Cipher(k [32]byte) noise.Cipher { return &handshakeCipher{key: k} }

// handshakeCipher expands its key when it is first used: three of the six
// ciphers that a handshake makes never are, and each would cost 1,280 bytes.
type handshakeCipher struct {
	key    [32]byte
	record *record
}

func (c *handshakeCipher) Encrypt(out []byte, n uint64, ad, plaintext []byte) []byte {
	r := c.use(n)
	return r.aead.Seal(out, r.nonce[:], plaintext, ad)
}

func (c *handshakeCipher) Decrypt(out []byte, n uint64, ad, ciphertext []byte) ([]byte, error) {
	r := c.use(n)
	return r.aead.Open(out, r.nonce[:], ciphertext, ad)
}

func (c *handshakeCipher) use(n uint64) *record {
	if c.record == nil {
		c.record = newRecord(&c.key)
	}
	c.record.at(n)
	return c.record
}

// record seals or opens one record at a time. Its nonce and additional data
// live beside the cipher, as arguments on the stack would be moved to the heap.
type record struct {
	aead  cipher.AEAD
	nonce [12]byte // 4 zero bytes, then the position (Noise, section 12.4)
	kind  [1]byte
}

func newRecord(key *[32]byte) *record {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for keys of another length
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // only for ciphers of another block size
	}
	return &record{aead: aead}
}

func (r *record) at(pos uint64) { binary.BigEndian.PutUint64(r.nonce[4:], pos) }
