package whatsapp

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// chain is what a verified certificate chain says.
type chain struct{ leaf, intermediate certificate }

// certificate is one NoiseCertificate of a chain.
type certificate struct {
	serial, issuer      uint64
	key                 [32]byte
	notBefore, notAfter uint64 // Unix seconds
}

// rootSerial is the serial of the pinned root, WhatsAppLongTerm1.
const rootSerial = 0

// verifyChain checks that root signed the intermediate of the CertChain in
// payload, that signed the leaf, and that the leaf holds the server's static
// key. Time is left to the caller. A payload of another shape is ErrNotWhatsApp,
// one that does not verify ErrSignature.
func verifyChain(payload []byte, root, static [32]byte) (chain, error) {
	leaf, leafSig, inter, interSig, err := parseChain(payload)
	if err != nil {
		return chain{}, fmt.Errorf("%w: certificate: %w", ErrNotWhatsApp, err)
	}
	if !verifyXEdDSA(root, inter, interSig) {
		return chain{}, fmt.Errorf("%w: intermediate is not signed by the root", ErrSignature)
	}
	var c chain
	if c.intermediate, err = parseCertificate(inter); err != nil {
		return chain{}, fmt.Errorf("%w: intermediate: %w", ErrSignature, err)
	}
	if !verifyXEdDSA(c.intermediate.key, leaf, leafSig) {
		return chain{}, fmt.Errorf("%w: leaf is not signed by the intermediate", ErrSignature)
	}
	if c.leaf, err = parseCertificate(leaf); err != nil {
		return chain{}, fmt.Errorf("%w: leaf: %w", ErrSignature, err)
	}
	return c, c.match(static)
}

func (c chain) match(static [32]byte) error {
	switch {
	case c.intermediate.issuer != rootSerial:
		return fmt.Errorf("%w: intermediate names another root", ErrSignature)
	case c.leaf.issuer != c.intermediate.serial:
		return fmt.Errorf("%w: leaf names another intermediate", ErrSignature)
	case c.leaf.key != static:
		return fmt.Errorf("%w: leaf is for another server key", ErrSignature)
	}
	return nil
}

// parseChain takes a CertChain {1 leaf, 2 intermediate} apart, both of which are a
// NoiseCertificate {1 details, 2 signature}. What it returns aliases payload.
func parseChain(payload []byte) (leaf, leafSig, inter, interSig []byte, err error) {
	certs, err := parseBytes(payload, 0, 0)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	first, err := parseBytes(certs[0], 0, ed25519.SignatureSize)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	second, err := parseBytes(certs[1], 0, ed25519.SignatureSize)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	return first[0], first[1], second[0], second[1], nil
}

// parseCertificate reads details {1 serial, 2 issuerSerial, 3 key, 4 notBefore,
// 5 notAfter}. Times may be missing: the window is then open on that side.
func parseCertificate(details []byte) (c certificate, err error) {
	m, err := parseMessage(details)
	if err != nil {
		return c, err
	}
	for num, to := range map[int]*uint64{1: &c.serial, 2: &c.issuer, 4: &c.notBefore, 5: &c.notAfter} {
		if *to, err = m.number(num); err != nil {
			return c, err
		}
	}
	key, err := m.bytes(3, 32)
	if err != nil {
		return c, err
	}
	copy(c.key[:], key)
	return c, nil
}

// warnings says in what way now is outside the certificates' windows. A wrong
// clock on this machine looks the same as an expired certificate, and WhatsApp's
// own app does not check, so this is no error.
func (c chain) warnings(now time.Time) []string {
	var ws []string
	for _, x := range []struct {
		name string
		cert certificate
	}{{"leaf", c.leaf}, {"intermediate", c.intermediate}} {
		if w := x.cert.outside(now); w != "" {
			ws = append(ws, x.name+" certificate "+w)
		}
	}
	return ws
}

func (c certificate) outside(now time.Time) string {
	t := now.Unix()
	if from := unixTime(c.notBefore); !from.IsZero() && t < from.Unix() {
		return fmt.Sprintf("is valid from %s only: is the clock right?", from.Format(time.DateOnly))
	}
	if until := unixTime(c.notAfter); !until.IsZero() && t > until.Unix() {
		return fmt.Sprintf("expired on %s: is the clock right?", until.Format(time.DateOnly))
	}
	return ""
}

// notAfter is when the first of the two certificates expires; zero: never.
func (c chain) notAfter() time.Time {
	a, b := unixTime(c.leaf.notAfter), unixTime(c.intermediate.notAfter)
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// unixTime is s as a time, zero for 0. Beyond the year 9999 is as good as never.
func unixTime(s uint64) time.Time {
	const year10000 = 253402300800
	if s == 0 || s >= year10000 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// verifyXEdDSA reports whether sig is key's signature of msg. key is a Curve25519
// public key; WhatsApp signs as Signal does (XEdDSA, signal.org/docs), with the
// sign bit of the Edwards point in the top bit of the signature.
func verifyXEdDSA(key [32]byte, msg, sig []byte) bool {
	if len(sig) != ed25519.SignatureSize {
		return false
	}
	edwards, ok := edwardsKey(key)
	if !ok {
		return false
	}
	edwards[31] |= sig[63] & 0x80
	sig = slices.Clone(sig)
	sig[63] &= 0x7f
	return ed25519.Verify(edwards[:], msg, sig)
}

// fieldPrime is 2^255 - 19.
var fieldPrime = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))

// edwardsKey maps the Montgomery u-coordinate u to the Edwards y-coordinate
// (u-1)/(u+1), RFC 7748 section 4.1, with sign bit 0. It refuses coordinates
// that are not reduced, and -1, which has no image. Everything here is public,
// so time may depend on it.
func edwardsKey(key [32]byte) (y [32]byte, ok bool) {
	slices.Reverse(key[:])
	u := new(big.Int).SetBytes(key[:])
	one := big.NewInt(1)
	if u.Cmp(fieldPrime) >= 0 {
		return y, false
	}
	inv := new(big.Int).ModInverse(new(big.Int).Add(u, one), fieldPrime)
	if inv == nil {
		return y, false
	}
	u.Sub(u, one).Mul(u, inv).Mod(u, fieldPrime).FillBytes(y[:])
	slices.Reverse(y[:])
	return y, true
}

// errProto means that bytes are no Protocol Buffers message of the shape expected.
var errProto = errors.New("not the message expected")

// protoField is one field of a message: a varint's value, or the data of another
// type, which aliases the message.
type protoField struct {
	typ   protowire.Type
	value uint64
	data  []byte
	set   bool
}

// nextField reads the first field of b and returns its length. A field has one
// spelling: numbers that are longer than they need be are refused, and so are groups.
func nextField(b []byte) (num protowire.Number, f protoField, length int, err error) {
	num, typ, head := protowire.ConsumeTag(b)
	if head < 0 || head != protowire.SizeTag(num) || !num.IsValid() {
		return 0, f, 0, errProto
	}
	f, b = protoField{typ: typ, set: true}, b[head:]
	var n, shortest int
	switch typ {
	case protowire.VarintType:
		f.value, n = protowire.ConsumeVarint(b)
		shortest = protowire.SizeVarint(f.value)
	case protowire.BytesType:
		f.data, n = protowire.ConsumeBytes(b)
		shortest = protowire.SizeBytes(len(f.data))
	case protowire.Fixed32Type, protowire.Fixed64Type:
		n = protowire.ConsumeFieldValue(num, typ, b)
		shortest = max(n, 0)
		f.data = b[:shortest]
	}
	if n != shortest || n == 0 {
		return 0, f, 0, errProto
	}
	return num, f, head + n, nil
}

// protoMessage holds the fields that this package asks of any message: numbers
// 1 to 5. Others are skipped, as newer servers may send them.
type protoMessage [6]protoField

// parseMessage reads b, which the message's fields alias.
func parseMessage(b []byte) (m protoMessage, err error) {
	for len(b) > 0 {
		num, f, n, err := nextField(b)
		if err != nil {
			return m, err
		}
		b = b[n:]
		if int(num) >= len(m) {
			continue
		}
		if m[num].set {
			return m, errProto
		}
		m[num] = f
	}
	return m, nil
}

// bytes is field num, which must be there, be bytes, and have size bytes unless
// size is 0.
func (m *protoMessage) bytes(num, size int) ([]byte, error) {
	f := m[num]
	if f.typ != protowire.BytesType || size != 0 && len(f.data) != size {
		return nil, errProto
	}
	return f.data, nil
}

// parseBytes reads a message whose fields from 1 on are bytes, of these sizes; 0 is
// any size.
func parseBytes(b []byte, sizes ...int) (fields [][]byte, err error) {
	m, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	for i, size := range sizes {
		field, err := m.bytes(i+1, size)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// number is field num, 0 if it is missing.
func (m *protoMessage) number(num int) (uint64, error) {
	if f := m[num]; f.set && f.typ != protowire.VarintType {
		return 0, errProto
	}
	return m[num].value, nil
}

// appendBytes writes field num.
func appendBytes(b []byte, num protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), data)
}
