package seal

import "crypto/sha256"

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
