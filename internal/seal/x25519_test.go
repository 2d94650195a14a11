package seal

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"testing"
)

func TestX25519IsTheStandardLibrarys(t *testing.T) {
	t.Parallel()
	for range 100 {
		var private PrivateKey
		var peer PublicKey // any 32 bytes, also non-canonical ones
		rand.Read(private[:])
		rand.Read(peer[:])
		compareX25519(t, private, peer)
	}
}

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
			if _, err := private.shared(peer); err != errLowOrder {
				t.Errorf("%x: got %v, want %v", peer[:], err, errLowOrder)
			}
			compareX25519(t, private, peer)
		}
	}
}

func FuzzX25519(f *testing.F) {
	f.Add(make([]byte, 32), make([]byte, 32))
	f.Fuzz(func(t *testing.T, private, peer []byte) {
		if len(private) == 32 && len(peer) == 32 {
			compareX25519(t, PrivateKey(private), PublicKey(peer))
		}
	})
}

func compareX25519(t *testing.T, private PrivateKey, peer PublicKey) {
	t.Helper()
	standard, err := ecdh.X25519().NewPrivateKey(private[:])
	if err != nil {
		t.Fatal(err)
	}
	public := private.public()
	same(t, "public key", public[:], standard.PublicKey().Bytes())
	point, err := ecdh.X25519().NewPublicKey(peer[:])
	if err != nil {
		t.Fatal(err)
	}
	want, wantErr := standard.ECDH(point)
	got, err := private.shared(peer)
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%x: got %v, want %v", peer[:], err, wantErr)
	}
	if err == nil {
		same(t, "secret", got[:], want)
	}
}
