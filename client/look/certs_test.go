package look

import (
	"bytes"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/crypto/cryptobyte"
)

// packed is the body of a compressed certificate.
func packed(algorithm uint16, length int, text []byte) []byte {
	b := cryptobyte.NewBuilder(nil)
	b.AddUint16(algorithm)
	b.AddUint24(uint32(length))
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(text) })
	return b.BytesOrPanic()
}

// wide is a frame of zstd that asks for a window of 64 MB, and holds a byte (RFC 8878, section 3.1.1).
var wide = []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x80, 0x09, 0x00, 0x00, 'x'}

// byZstd packs a text as servers do.
func byZstd(t testing.TB, text string) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll([]byte(text), nil)
}

func TestACertificateThatTakesTooMuchMemoryIsNotRead(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("certificate ", 300)
	var br bytes.Buffer
	w := brotli.NewWriter(&br)
	w.Write([]byte(text))
	w.Close()
	small := byZstd(t, text)
	for name, c := range map[string]struct {
		body []byte
		want error
	}{
		"brotli":                  {packed(2, len(text), br.Bytes()), nil},
		"zstd":                    {packed(3, len(text), small), nil},
		"as long as may be":       {packed(3, maxCerts, byZstd(t, strings.Repeat("c", maxCerts))), nil},
		"longer":                  {packed(3, maxCerts+1, byZstd(t, strings.Repeat("c", maxCerts+1))), errCerts},
		"brotli that says 16 MB":  {packed(2, 1<<24-1, br.Bytes()), errCerts},
		"another length":          {packed(3, len(text)-1, small), errCerts},
		"a wide window":           {packed(3, 1, wide), errCerts},
		"a wide window at second": {packed(3, len(text), append(bytes.Clone(small), wide...)), errCerts},
		"garbage":                 {packed(3, 4, []byte("abcd")), errCerts},
		"nothing":                 {nil, errCerts},
	} {
		if err := judgeCerts(c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// A server's first messages are examined until it is known whether a certificate is compressed, and nothing of them is kept.
func TestNothingIsExaminedOnceTheServerHasSpoken(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		for _, kind := range []Kind{Socket, Page} {
			usual, tickets := &tls.Config{}, new(Tickets)
			for _, s := range []struct {
				server  *tls.Config
				tickets *Tickets
			}{
				{usual, tickets}, {usual, tickets}, {&tls.Config{MaxVersion: tls.VersionTLS12}, nil},
				{&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, nil}, {&tls.Config{ClientAuth: tls.RequestClientCert}, nil},
			} {
				c, _ := shake(t, l, Config{Name: "front.example", Kind: kind, Tickets: s.tickets}, s.server)
				f := c.tls.NetConn().(*flight)
				if f.examine != nil || f.rest != nil {
					t.Errorf("%s: got what is examined still after %s", l.Name(), tls.VersionName(c.ConnectionState().Version))
				}
			}
		}
	}
}

// Whatever a server sends is read without a panic, and without more memory than a certificate may take.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), packed(3, 1, wide))
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), append([]byte{encryptedExtensions, 0, 0, 0, compressedCertificate, 0, 0, 18}, packed(3, 1, wide)...))
	f.Fuzz(func(t *testing.T, record, messages []byte) {
		parseServerHello(record)
		p := &packedCerts{messages: messages}
		p.next()
		judgeCerts(messages)
	})
}
