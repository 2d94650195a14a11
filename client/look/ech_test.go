package look

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"culvert/internal/ech"
)

// newECH is a key of a server's for ECH.
func newECH(t testing.TB, id byte, public string) (tls.EncryptedClientHelloKey, ech.Config) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(0xfe0d)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte{id, 0, 0x20}) // X25519
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(key.PublicKey().Bytes()) })
		b.AddBytes([]byte{0, 4, 0, 1, 0, 1, 0}) // HKDF-SHA256, AES-128-GCM; no longest name
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(public)) })
		b.AddUint16(0)
	})
	config := b.BytesOrPanic()
	c, err := ech.Parse(append([]byte{0, byte(len(config))}, config...))
	if err != nil {
		t.Fatal(err)
	}
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: key.Bytes(), SendAsRetry: true}, c
}

// Who sees the ClientHello reads the public name; it has the extensions of the browser's, by every look, kind and size.
func TestTheNameIsEncryptedWhereTheServerTakesIt(t *testing.T) {
	t.Parallel()
	key, config := newECH(t, 7, "public.example")
	for _, l := range all() {
		for _, cfg := range []Config{
			{Name: "front.example", ECH: config}, {Name: "front.example", ECH: config, Kind: Page}, {Name: "front.example", ECH: config, Small: true},
			{Name: "front.example", ECH: config, Tickets: &Tickets{}},
		} {
			for range 2 {
				conn, hello := shake(t, l, cfg, &tls.Config{NextProtos: []string{"h2", "http/1.1"}, EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key}})
				s := conn.ConnectionState()
				if want := l.alpn(cfg.Kind)[0]; !s.ECHAccepted || s.DidResume || s.NegotiatedProtocol != want || !bytes.Contains(hello, []byte("public.example")) ||
					bytes.Contains(hello, []byte("front.example")) {
					t.Errorf("%s: got %+v by %q, want the name in the ECH alone, and %s", l.Name(), s, hello, want)
				}
			}
			_, plain := shake(t, l, Config{Name: "front.example", Kind: cfg.Kind, Small: cfg.Small}, &tls.Config{})
			_, hidden := shake(t, l, cfg, &tls.Config{EncryptedClientHelloKeys: []tls.EncryptedClientHelloKey{key}})
			if got, want := numbersOf(t, hidden), numbersOf(t, plain); !slices.Equal(got, want) {
				t.Errorf("%s: got extensions %v with ECH, want %v", l.Name(), got, want)
			}
		}
	}
}

// numbersOf are the numbers of a ClientHello's extensions, in the order of the numbers.
func numbersOf(t *testing.T, record []byte) []uint16 {
	t.Helper()
	numbers, _ := extensions(t, record)
	slices.Sort(numbers)
	return numbers
}

// A server with another key proves by its certificate for the public name what to use, and nobody else can say that.
func TestAServerThatTakesNoECHSaysWhatToUse(t *testing.T) {
	t.Parallel()
	_, old := newECH(t, 7, "front.example") // that is what the certificate is for
	key, current := newECH(t, 8, "front.example")
	trusted := x509.NewCertPool()
	trusted.AddCert(certificate().Leaf)
	for name, c := range map[string]struct {
		roots *x509.CertPool
		keys  []tls.EncryptedClientHelloKey
		check func(error) bool
	}{
		"another key":       {trusted, []tls.EncryptedClientHelloKey{key}, func(err error) bool { return isRejected(err, current) }},
		"no ECH":            {trusted, nil, func(err error) bool { return isRejected(err, ech.Config{}) }},
		"of nobody we know": {x509.NewCertPool(), []tls.EncryptedClientHelloKey{key}, func(err error) bool { return err != nil && !errors.As(err, new(*Rejected)) }},
	} {
		for _, l := range all() {
			near, far := tcpPipe(t)
			go tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate()}, EncryptedClientHelloKeys: c.keys}).Handshake()
			r := &recorder{Conn: near}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			_, err := l.Handshake(ctx, r, Config{Name: "hidden.example", Verify: anybody, ECH: old, Roots: c.roots})
			cancel()
			if !c.check(err) || bytes.Contains(r.first, []byte("hidden.example")) {
				t.Errorf("%s, %s: got %v", name, l.Name(), err)
			}
		}
	}
}

func isRejected(err error, retry ech.Config) bool {
	var no *Rejected
	return errors.As(err, &no) && no.Retry == retry
}

// A server of TLS 1.2 reads no ECH, and is not told the name.
func TestNothingButECHIsSpokenWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	_, config := newECH(t, 7, "front.example")
	for _, l := range all() {
		near, far := tcpPipe(t)
		go func() {
			defer far.Close()
			tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate()}, MaxVersion: tls.VersionTLS12}).Handshake()
			io.Copy(io.Discard, far)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := l.Handshake(ctx, near, Config{Name: "hidden.example", Verify: anybody, ECH: config}); err == nil {
			t.Errorf("%s: got a connection, want none", l.Name())
		}
		cancel()
	}
}
