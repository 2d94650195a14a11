package look

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
	utls "github.com/refraction-networking/utls"
	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

// packedCerts reads the compressed certificate of a server before uTLS does, which would make room for 16 MB because three
// bytes say so, and for 100 MB more by zstd, whoever sends them. It is the key log of the handshake, from which it has the key.
// What it cannot read uTLS is not shown.
type packedCerts struct {
	suite    uint16 // as the server chose
	aead     cipher.AEAD
	nonce    []byte // of record 0
	seq      uint64 // of the next record
	messages []byte // those that are not whole yet
}

// packedCertsOf is for a ClientHello; nil: it offers no compression.
func packedCertsOf(spec *utls.ClientHelloSpec) *packedCerts {
	for _, e := range spec.Extensions {
		if _, ok := e.(*utls.UtlsCompressCertExtension); ok {
			return new(packedCerts)
		}
	}
	return nil
}

// Bounds of a compressed certificate. BoringSSL has none that is longer than 100 KiB once it is read, either; RFC 8878, section
// 3.1.1.1.2, asks who reads zstd for a window of 8 MB.
const (
	maxCerts  = 100 << 10
	maxFlight = 128 << 10 // of messages before and with the compressed one, of which uTLS takes 64 KiB
	maxWindow = 8 << 20   // of zstd
)

var (
	errCerts = errors.New("the server's certificate is compressed in a way that takes too much memory to read, or cannot be read")
	errSuite = errors.New("the server chose a cipher that was not offered")
)

// Write implements io.Writer for lines of a key log (draft-ietf-tls-keylogfile, section 2).
func (p *packedCerts) Write(line []byte) (int, error) {
	words := bytes.Fields(line)
	if len(words) != 3 || string(words[0]) != "SERVER_HANDSHAKE_TRAFFIC_SECRET" {
		return len(line), nil
	}
	secret, err := hex.DecodeString(string(words[2]))
	if err != nil {
		return 0, err
	}
	return len(line), p.begin(secret)
}

// begin has records be read that are encrypted by a secret (RFC 8446, section 7.3).
func (p *packedCerts) begin(secret []byte) (err error) {
	newHash, length := sha256.New, 16
	switch p.suite {
	case tls.TLS_AES_128_GCM_SHA256:
	case tls.TLS_AES_256_GCM_SHA384:
		newHash, length = sha512.New384, 32
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		length = chacha20poly1305.KeySize
	default:
		return errSuite
	}
	key, err := expand(newHash, secret, "key", length)
	if err != nil {
		return err
	}
	if p.nonce, err = expand(newHash, secret, "iv", chacha20poly1305.NonceSize); err != nil {
		return err
	}
	p.aead, err = newAEAD(p.suite, key)
	return err
}

func newAEAD(suite uint16, key []byte) (cipher.AEAD, error) {
	if suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// expand is HKDF-Expand-Label without a context (RFC 8446, section 7.1).
func expand(newHash func() hash.Hash, secret []byte, label string, length int) ([]byte, error) {
	label = "tls13 " + label
	info := append([]byte{0, byte(length), byte(len(label))}, label...)
	return hkdf.Expand(newHash, secret, string(append(info, 0)), length)
}

// record takes an encrypted one, and reports whether no certificate can follow.
func (p *packedCerts) record(record []byte) (over bool, err error) {
	text, err := p.open(record)
	if err != nil {
		return false, err
	}
	text = bytes.TrimRight(text, "\x00") // the padding
	if len(text) == 0 || text[len(text)-1] != recordHandshake {
		return false, nil // uTLS knows what to do with it
	}
	if p.messages = append(p.messages, text[:len(text)-1]...); len(p.messages) > maxFlight {
		return false, errCerts
	}
	if over, err = p.next(); over {
		*p = packedCerts{} // uTLS keeps it for as long as the connection lasts
	}
	return over, err
}

// open decrypts a record.
func (p *packedCerts) open(record []byte) ([]byte, error) {
	if p.aead == nil {
		return nil, errFirst
	}
	nonce := bytes.Clone(p.nonce)
	for i, b := range binary.BigEndian.AppendUint64(nil, p.seq) {
		nonce[len(nonce)-8+i] ^= b
	}
	p.seq++
	return p.aead.Open(nil, nonce, record[recordHead:], record[:recordHead])
}

// Messages of a handshake (RFC 8446, section 4; RFC 8879, section 4).
const (
	encryptedExtensions   = 8
	certificateRequest    = 13
	compressedCertificate = 25
)

// next takes the messages that are whole, and reports whether no certificate can follow.
func (p *packedCerts) next() (over bool, err error) {
	for {
		s := cryptobyte.String(p.messages)
		var kind uint8
		var body cryptobyte.String
		if !s.ReadUint8(&kind) || !s.ReadUint24LengthPrefixed(&body) {
			return false, nil
		}
		switch kind {
		case encryptedExtensions, certificateRequest:
			p.messages = s
		case compressedCertificate:
			return true, judgeCerts(body)
		default:
			return true, nil
		}
	}
}

// judgeCerts says whether reading a compressed certificate takes no more memory than it may.
func judgeCerts(s cryptobyte.String) error {
	var algorithm uint16
	var length uint32
	var packed cryptobyte.String
	if !s.ReadUint16(&algorithm) || !s.ReadUint24(&length) || !s.ReadUint24LengthPrefixed(&packed) || length > maxCerts {
		return errCerts
	}
	if utls.CertCompressionAlgo(algorithm) != utls.CertCompressionZstd {
		return nil
	}
	d, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return errCerts
	}
	defer d.Close()
	if n, err := io.Copy(io.Discard, io.LimitReader(d, maxCerts+1)); err != nil || n != int64(length) {
		return errCerts
	}
	return nil
}
