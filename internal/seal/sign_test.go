package seal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The vectors are libxeddsa's, by its Python bindings 1.2.0.
func TestSignaturesAreThoseOfAnotherImplementation(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/xeddsa.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct{ Private, Public, Message, Random, Signature, Ed25519 text }
	if err := json.Unmarshal(file, &all); err != nil {
		t.Fatal(err)
	}
	for i, v := range all {
		key := PrivateKey(v.Private)
		if got := key.sign(v.Message, [64]byte(v.Random)); !bytes.Equal(got, v.Signature) {
			t.Errorf("vector %d: got the signature %x, want %x", i, got, []byte(v.Signature))
		}
		public := PublicKey(v.Public)
		if got := public.image(); key.public() != public || !bytes.Equal(got, v.Ed25519) {
			t.Errorf("vector %d: got the key %x, want %x", i, got, []byte(v.Ed25519))
		}
		if !public.Verify("", v.Message, v.Signature) {
			t.Errorf("vector %d is not verified", i)
		}
	}
}

func TestASignatureIsOfOneMessageLabelAndKey(t *testing.T) {
	t.Parallel()
	m, other := NewMaster(), NewMaster()
	message := []byte("message")
	sig := m.Sign("label ", message)
	if m.Client(7).Origin != m.PublicKey() || !m.PublicKey().Verify("label ", message, sig) {
		t.Error("what the origin signs is not verified by a link")
	}
	if bytes.Equal(sig, m.Sign("label ", message)) {
		t.Error("two signatures have the same nonce")
	}
	for name, got := range map[string]bool{
		"another message": m.PublicKey().Verify("label ", []byte("massage"), sig),
		"another label":   m.PublicKey().Verify("babel ", message, sig),
		"another key":     other.PublicKey().Verify("label ", message, sig),
		"cut":             m.PublicKey().Verify("label ", message, sig[:SignatureLen-1]),
		"none":            m.PublicKey().Verify("label ", message, nil),
	} {
		if got {
			t.Errorf("%s: the signature is verified", name)
		}
	}
	for i := range 8 * SignatureLen {
		bad := bytes.Clone(sig)
		bad[i/8] ^= 1 << (i % 8)
		if m.PublicKey().Verify("label ", message, bad) {
			t.Errorf("the signature is verified with bit %d changed", i)
		}
	}
}

// A link whose key of the origin is of low order makes no pair, and verifies nothing.
func TestNoKeyOfLowOrderVerifies(t *testing.T) {
	t.Parallel()
	for _, point := range lowOrder {
		b, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		for _, sig := range [][]byte{make([]byte, SignatureLen), append(PublicKey(b).image(), make([]byte, 32)...)} {
			if PublicKey(b).Verify("label ", []byte("any"), sig) && PublicKey(b).Verify("label ", []byte("other"), sig) {
				t.Errorf("%s: any message is verified", point)
			}
		}
	}
}
