package ech

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"net"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

// sample is a configuration as it is written.
type sample struct {
	version, kem uint16
	key          []byte
	suites       []uint16
	name         string
	extensions   []byte
}

func good() sample {
	return sample{version, kemX25519, bytes.Repeat([]byte{9}, keyLen), []uint16{kdfSHA256, 1}, "public.example", nil}
}

func (s sample) bytes() []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(s.version)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(7)
		b.AddUint16(s.kem)
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.key) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, v := range s.suites {
				b.AddUint16(v)
			}
		})
		b.AddUint8(0)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s.name)) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.extensions) })
	})
	return b.BytesOrPanic()
}

func list(all ...[]byte) []byte {
	whole := bytes.Join(all, nil)
	return append([]byte{byte(len(whole) >> 8), byte(len(whole))}, whole...)
}

func changed(change func(*sample)) []byte {
	s := good()
	change(&s)
	return s.bytes()
}

func TestTheFirstConfigurationThatCanBeUsedCounts(t *testing.T) {
	t.Parallel()
	unknown := list([]byte("\xfe\x0c\x00\x03abc"), changed(func(s *sample) { s.kem = 0x10 }), good().bytes(), changed(func(s *sample) { s.name = "later.example" }))
	for name, b := range map[string][]byte{"one": list(good().bytes()), "after others": unknown} {
		c, err := Parse(b)
		if err != nil || c.PublicName() != "public.example" || !bytes.Equal(c.List(), list(good().bytes())) {
			t.Errorf("%s: got %q, %x, %v", name, c.PublicName(), c.List(), err)
		}
	}
}

func TestGarbageIsRefused(t *testing.T) {
	t.Parallel()
	whole := list(good().bytes())
	for name, b := range map[string][]byte{
		"nothing":               nil,
		"an empty list":         {0, 0},
		"a tail":                append(bytes.Clone(whole), 0),
		"cut":                   whole[:len(whole)-1],
		"text":                  []byte("AEX+DQBBxgAgACBF"),
		"too long":              list(bytes.Repeat(good().bytes(), 20)),
		"another version alone": list(changed(func(s *sample) { s.version = 0xfe0a })),
		"a key too short":       list(changed(func(s *sample) { s.key = s.key[1:] })),
		"a key that is zero":    list(changed(func(s *sample) { s.key = make([]byte, keyLen) })),
		"a key of low order":    list(changed(func(s *sample) { s.key = append([]byte{1}, make([]byte, keyLen-1)...) })),
		"no ciphers":            list(changed(func(s *sample) { s.suites = nil })),
		"half a cipher":         list(changed(func(s *sample) { s.suites = s.suites[:1] })),
		"an unknown cipher":     list(changed(func(s *sample) { s.suites[1] = 9 })),
		"an address as name":    list(changed(func(s *sample) { s.name = "192.0.2.1" })),
		"a name of one label":   list(changed(func(s *sample) { s.name = "localhost" })),
		"a name with a newline": list(changed(func(s *sample) { s.name = "a.exa\nmple" })),
		"a mandatory extension": list(changed(func(s *sample) { s.extensions = []byte{0x80, 1, 0, 0} })),
		"half an extension":     list(changed(func(s *sample) { s.extensions = []byte{0, 1, 0} })),
	} {
		if c, err := Parse(b); err == nil || !c.IsZero() {
			t.Errorf("%s: got %+v, %v, want an error", name, c, err)
		}
	}
}

// Whatever is taken, TLS of the standard library can use, and shows the public name alone.
func FuzzParse(f *testing.F) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(list(changed(func(s *sample) { s.key = key.PublicKey().Bytes() })))
	f.Add(list(changed(func(s *sample) { s.version = 1 }), good().bytes()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		if again, err := Parse(c.List()); err != nil || again != c {
			t.Fatalf("got %v, %v, want it to be the same again", again, err)
		}
		if hello := helloBy(c.List()); !bytes.Contains(hello, []byte(c.PublicName())) || bytes.Contains(hello, []byte("hidden.example")) {
			t.Errorf("got %q of %x, want the name %q alone", hello, b, c.PublicName())
		}
	})
}

// helloBy is the ClientHello for hidden.example by a list of configurations.
func helloBy(list []byte) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		defer near.Close()
		tls.Client(near, &tls.Config{ServerName: "hidden.example", EncryptedClientHelloConfigList: list, InsecureSkipVerify: true}).Handshake()
	}()
	b := make([]byte, 16<<10)
	n, _ := far.Read(b)
	return b[:n]
}
