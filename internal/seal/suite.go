package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"io"

	"github.com/flynn/noise"
)

// suite is the noise.CipherSuite of one pair of static keys. It is read only,
// and so serves any number of handshakes at once.
type suite struct {
	hidden
	pair
}

func (*suite) Name() []byte       { return []byte("25519_AESGCM_SHA256") }
func (*suite) DHName() string     { return "25519" }
func (*suite) CipherName() string { return "AESGCM" }
func (*suite) HashName() string   { return "SHA256" }
func (*suite) DHLen() int         { return len(PublicKey{}) }
func (*suite) Hash() hash.Hash    { return sha256.New() }

func (s *suite) DH(private, public []byte) ([]byte, error) { return s.dh(private, public) }

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
