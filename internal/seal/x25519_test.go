package seal

import (
	"encoding/hex"
	"testing"
)

// The encodings of points of low order, of RFC 7748's curve and its twist,
// canonical or not, and with the bit that is ignored. https://cr.yp.to/ecdh.html
var lowOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

func TestX25519RefusesPointsOfLowOrder(t *testing.T) {
	t.Parallel()
	for _, point := range lowOrder {
		b, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		for _, ignored := range []byte{0, 0x80} {
			peer := PublicKey(b)
			peer[31] |= ignored
			private := NewMaster().originPrivate()
			if _, err := shared(private.key(), peer); err != errLowOrder {
				t.Errorf("%x: got %v, want %v", peer[:], err, errLowOrder)
			}
		}
	}
}

func BenchmarkX25519(b *testing.B) {
	k, peer := NewMaster().originPrivate(), NewMaster().originPrivate().public()
	private := k.key()
	b.Run("shared", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			shared(private, peer)
		}
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k.key()
		}
	})
	m := NewMaster()
	b.Run("pair", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Pair(7)
		}
	})
}
