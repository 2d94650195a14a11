package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"testing"
)

func TestHKDFIsTheStandardLibrarys(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{1, 2, 3, 4}, 16)
	for _, saltLen := range []int{0, 1, 16, 32, 63, 64} {
		salt := bytes.Repeat([]byte{0xa5}, saltLen)
		for _, context := range []string{"", "12345678", string(make([]byte, 300))} {
			for _, n := range []int{1, 16, 32, 33, 64, 255 * 32} {
				want, err := hkdf.Key(sha256.New, secret[:saltLen], salt, "label"+context, n)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, n)
				p := extract(secret[:saltLen], salt)
				p.expand(got, "label", []byte(context))
				if !bytes.Equal(got, want) {
					t.Errorf("salt of %d, context of %d, %d bytes: got %x, want %x", saltLen, len(context), n, got, want)
				}
			}
		}
	}
}

func TestKeysOfATunnelAreDerivedWithoutAllocating(t *testing.T) {
	r := resumption{secret: [32]byte{1}}
	client, origin := nonce{2}, nonce{3}
	if got := testing.AllocsPerRun(20, func() {
		r.openKey(tunnel, &client)
		r.directions(tunnel, &client, &origin)
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
