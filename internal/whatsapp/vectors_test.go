package whatsapp

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"
)

// Two handshakes with WhatsApp that others recorded and published together with
// the client's ephemeral key, as data in their tests.
const (
	// jlucaso1/whatsapp-rust, wacore/tests/noise_handshake_test.rs; April 2025.
	key2025     = "b8de0b5ebad3e7879fa659c0d27baa6c3e3f32a10f7c4cb2613cb4182fe83047"
	server2025  = "27692cf5d6a08e51f2d601f2e475378456bda16f96255c5121d081d0aa4a815d"
	static2025  = "0addd1ce96c55699824fc20ef2a73928dd8168bc29ef863bdea6dc69002b00054add28f7711e3a7dff984d3f31badaa2"
	payload2025 = "c4f948e737857d6bd675fa0a84f38ed784685b784402da53f972388a8aa3398f01be799862907d43cce7a49858023ec6" +
		"6dc909d1eac245f842661360804acf4975801ca0a156f876ba6004cc2f1241f761f753c516cef59fb3c6b95d39ad6d3540caa40b361bfbb7189eaa2d331e" +
		"086870f2bd846bc6653cf2887387ba25268c9923dec5ecdc5ee37507680ba6906550f9991f6a60b2dc74803c6df8d6df352f206c376b0bb3d7d17dca91e3" +
		"999f73d6dc6469e59281bc18c22fd1e7d85467b3f17fafc141a62c6fd92d364310d5b32493c9f2c77817aa4d901aef2538858b157d46ea247371a9c2f577" +
		"171796fa7be059d975dddee115d5aa967602b02a93be36"

	// tgalal/consonance, tests/test_handshakes_offline.py; 2019, prologue WA 02 01.
	key2019   = "qLt+l8Jh9mUF/QciIRjd7Z0qKyhN//46Xawk5jdL4WE="
	hello2019 = "GvoBCiCiMwovEL8pYkUdcxCz6w5lvzvyxgAgHiNm4LnOwO8KQxIwt+dvmTcTMcE12jCCrbnLcFY+H2/QuKr4/h4BCHy0rDS9rKp63yqRfFX5vEPY0/UG" +
		"GqMBCfYtpYzsdsU3cN0Bq4ui5Dm0MY/+Yur2cCFbtLRgBa858hWFuCIuWKrkE89GrF0uo+wJsolq4miiqMOdXJfuZ2YBZ4paFS2mWjVmQSINRo8J3LzXncUDMeQB" +
		"O/KkCARw5BTcVkj2gwI6FG+yB/qI8BUJIxxswJc6q+H+HWkNro+Xl6urn5aOwK7bgBSPNctncZGY72NlJByEQCB6Bra7UykzQA=="
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func proverOf(t testing.TB, key []byte, prologue string) *prover {
	t.Helper()
	k, err := ecdh.X25519().NewPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &prover{root: pinnedRoot, prologue: prologue, ephemeral: k}
}

func hello2025(t testing.TB) []byte {
	hello := appendBytes(nil, 1, unhex(t, server2025))
	hello = appendBytes(hello, 2, unhex(t, static2025))
	hello = appendBytes(hello, 3, unhex(t, payload2025))
	return appendBytes(nil, 3, hello)
}

func TestRecordedServerOf2025IsGenuine(t *testing.T) {
	t.Parallel()
	hello := hello2025(t)
	if len(hello) != 347 {
		t.Errorf("server hello: got %d bytes, want 347", len(hello))
	}
	p := proverOf(t, unhex(t, key2025), prologue)
	c, err := p.serverHello(hello)
	if err != nil {
		t.Fatal(err)
	}
	if c.leaf.serial != 329 || c.intermediate.serial != 3 {
		t.Errorf("got serials %d and %d, want 329 and 3", c.leaf.serial, c.intermediate.serial)
	}
	if got, want := c.notAfter().Format(time.DateOnly), "2025-07-28"; got != want {
		t.Errorf("got expiry %s, want %s", got, want)
	}
	if got, want := hex.EncodeToString(p.noise.hash[:]), "4a82b448599eb44f85bacedaff0a81820999a87be156b08989c2857b8651d4d2"; got != want {
		t.Errorf("got hash %s, want %s", got, want)
	}
	if ws := c.warnings(time.Date(2025, 4, 1, 0, 0, 0, 0, time.UTC)); len(ws) != 0 {
		t.Errorf("in its window: got warnings %q, want none", ws)
	}
	for _, at := range []time.Time{{}, time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if ws := c.warnings(at); len(ws) != 2 {
			t.Errorf("at %s: got warnings %q, want two", at, ws)
		}
	}
}

func TestAnyBitFlippedInTheRecordedAnswerIsNoticed(t *testing.T) {
	t.Parallel()
	hello := hello2025(t)
	for i := range hello {
		bad := slices.Clone(hello)
		bad[i] ^= 1 << (i % 8)
		if _, err := proverOf(t, unhex(t, key2025), prologue).serverHello(bad); !errors.Is(err, ErrNotWhatsApp) {
			t.Errorf("byte %d: got %v, want ErrNotWhatsApp", i, err)
		}
	}
}

func TestAnyBitFlippedInTheRecordedChainIsNoticed(t *testing.T) {
	t.Parallel()
	payload, static := chain2025(t)
	for i := range payload {
		bad := slices.Clone(payload)
		bad[i] ^= 1 << (i % 8)
		if _, err := verifyChain(bad, pinnedRoot, static); !errors.Is(err, ErrSignature) && !errors.Is(err, ErrNotWhatsApp) {
			t.Errorf("byte %d: got %v, want it refused", i, err)
		}
	}
}

func TestRecordedChainFailsForAnotherRootOrServerKey(t *testing.T) {
	t.Parallel()
	payload, static := chain2025(t)
	for name, c := range map[string]struct{ root, static [32]byte }{
		"another root":     {static, static},
		"zero root":        {[32]byte{}, static},
		"root of -1":       {minusOne, static},
		"another server":   {pinnedRoot, pinnedRoot},
		"root as all ones": {allOnes, static},
	} {
		if _, err := verifyChain(payload, c.root, c.static); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: got %v, want ErrSignature", name, err)
		}
	}
}

var (
	allOnes  = [32]byte(bytes.Repeat([]byte{0xff}, 32))
	minusOne = [32]byte(slices.Concat([]byte{0xec}, bytes.Repeat([]byte{0xff}, 30), []byte{0x7f})) // 2^255 - 20
)

// chain2025 is the recorded server's certificate chain in clear, and its key.
func chain2025(t testing.TB) (payload []byte, static [32]byte) {
	p := proverOf(t, unhex(t, key2025), prologue)
	p.noise = newNoiseState(prologue)
	p.noise.mixHash(p.ephemeral.PublicKey().Bytes())
	p.noise.mixHash(unhex(t, server2025))
	key, err := p.openWith(unhex(t, server2025), unhex(t, static2025))
	if err != nil {
		t.Fatal(err)
	}
	if payload, err = p.openWith(key, unhex(t, payload2025)); err != nil {
		t.Fatal(err)
	}
	return payload, [32]byte(key)
}

// The format of 2019 has one certificate, so it is no chain for us; its key and
// signature are the same root's.
func TestRecordedCertificateOf2019IsSignedByTheRoot(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString(key2019)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := base64.StdEncoding.DecodeString(hello2019)
	if err != nil {
		t.Fatal(err)
	}
	p := proverOf(t, key, "WA\x02\x01")
	if _, err := p.serverHello(frame); !errors.Is(err, ErrNotWhatsApp) {
		t.Errorf("as a chain: got %v, want ErrNotWhatsApp", err)
	}
	details, sig := certificate2019(t, p, frame)
	if !verifyXEdDSA(pinnedRoot, details, sig) {
		t.Error("got a signature that does not verify, want one that does")
	}
	details[0] ^= 1
	if verifyXEdDSA(pinnedRoot, details, sig) {
		t.Error("got an altered certificate verified, want it refused")
	}
}

func certificate2019(t *testing.T, p *prover, frame []byte) (details, sig []byte) {
	ephemeral, static, payload, err := parseServerHello(frame)
	if err != nil {
		t.Fatal(err)
	}
	p.noise = newNoiseState(p.prologue)
	p.noise.mixHash(p.ephemeral.PublicKey().Bytes())
	p.noise.mixHash(ephemeral)
	key, err := p.openWith(ephemeral, static)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := p.openWith(key, payload)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMessage(cert)
	if err != nil {
		t.Fatal(err)
	}
	details, _ = m.bytes(1, 0)
	sig, _ = m.bytes(2, 64)
	return slices.Clone(details), sig
}
