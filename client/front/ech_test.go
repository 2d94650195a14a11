package front

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/cryptobyte"

	"culvert/client/look"
	"culvert/internal/link"
)

// newKey is a key of a site's, by which names are encrypted under public.example, and the list that has it alone.
func newKey(t *testing.T, id byte) (key tls.EncryptedClientHelloKey, list []byte) {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b := cryptobyte.NewBuilder([]byte{0xfe, 0x0d})
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddBytes([]byte{id, 0, 0x20}) // X25519
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(private.PublicKey().Bytes()) })
		b.AddBytes([]byte{0, 4, 0, 1, 0, 1, 0}) // HKDF-SHA256, AES-128-GCM; no longest name
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("public.example")) })
		b.AddUint16(0)
	})
	config := b.BytesOrPanic()
	return tls.EncryptedClientHelloKey{Config: config, PrivateKey: private.Bytes(), SendAsRetry: true}, append([]byte{0, byte(len(config))}, config...)
}

// echWorld is a network with a site whose certificate is for its name and the public one, and the Dialer that trusts it.
func echWorld(t *testing.T, does behaviour, keys ...tls.EncryptedClientHelloKey) (*fakeNet, *Dialer) {
	t.Helper()
	n := &fakeNet{alive: map[string]site{truth + ":443": {does: does}}, keys: keys, cert: new(tls.Certificate)}
	root, cert := issuer{}.issue(t, forNames("front.example", "public.example"))
	*n.cert = cert
	d := n.dialer()
	d.Roots = x509.NewCertPool()
	d.Roots.AddCert(root.cert)
	return n, d
}

func TestALinkThatDemandsECHNeverShowsTheName(t *testing.T) {
	t.Parallel()
	key, list := newKey(t, 1)
	newer, _ := newKey(t, 2)
	for name, c := range map[string]struct {
		does behaviour
		keys []tls.EncryptedClientHelloKey
		seen string
		fits bool // it leads into the front, at last by a retry
	}{
		"taken":          {greets, []tls.EncryptedClientHelloKey{key}, "public.example public.example", true},
		"another key":    {greets, []tls.EncryptedClientHelloKey{newer}, "public.example public.example public.example", true},
		"not taken":      {greets, nil, "public.example public.example", false},
		"cut on the way": {cutsECH, []tls.EncryptedClientHelloKey{key}, "", false},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, d := echWorld(t, c.does, c.keys...)
			f := link.Front{Host: "front.example", Dial: []string{truth + ":443"}, ECH: list}
			for range 2 {
				way, err := openWay(t, d, f)
				if (err == nil) != c.fits || way.State.ECHAccepted != c.fits {
					t.Errorf("%s: got %v and %v, want ECH: %v", name, err, way.State.ECHAccepted, c.fits)
				}
				if rejected := new(look.Rejected); !c.fits && c.does == greets && (!errors.As(err, &rejected) || !strings.Contains(err.Error(), "ask for a new link")) {
					t.Errorf("%s: got %v, want what to try", name, err)
				}
			}
			got := strings.Join(n.seen, " ")
			if strings.Contains(got, "front.example") || c.seen != "" && got != c.seen {
				t.Errorf("%s: got %s in the clear, want %s", name, got, c.seen)
			}
		})
	}
}

// What DNS tells is used as browsers do, and left where it does not get through.
func TestAnECHOfDNSIsUsedAndGivesWay(t *testing.T) {
	t.Parallel()
	key, list := newKey(t, 1)
	newer, _ := newKey(t, 2)
	keys := []tls.EncryptedClientHelloKey{key}
	for name, c := range map[string]struct {
		does behaviour
		keys []tls.EncryptedClientHelloKey
		list []byte
		seen string
	}{
		"taken":          {greets, keys, list, "public.example public.example"},
		"another key":    {greets, []tls.EncryptedClientHelloKey{newer}, list, "public.example public.example public.example"},
		"none taken":     {greets, nil, list, "public.example front.example front.example"},
		"cut on the way": {cutsECH, keys, list, "public.example front.example front.example"},
		"garbage":        {greets, keys, []byte("garbage"), "front.example front.example"},
		"no record":      {greets, keys, nil, "front.example front.example"},
	} {
		synctest.Test(t, func(t *testing.T) {
			n, d := echWorld(t, c.does, c.keys...)
			r := &fakeResolver{names: map[string]string{"front.example.": truth}, ech: c.list}
			n.resolvers = map[string]*fakeResolver{resolver1: r}
			d.Resolvers = []link.Resolver{resolverAt(resolver1)}
			for range 2 {
				way, err := openWay(t, d, link.Front{Host: "front.example"})
				if want := strings.HasSuffix(c.seen, "public.example"); err != nil || way.State.ECHAccepted != want {
					t.Errorf("%s: got %v and %v, want ECH: %v", name, err, way.State.ECHAccepted, want)
				}
			}
			if got := strings.Join(n.seen, " "); got != c.seen {
				t.Errorf("%s: got %s in the clear, want %s", name, got, c.seen)
			}
		})
	}
}

func TestTheRecordAskedForIsThatOfThePort(t *testing.T) {
	t.Parallel()
	for f, want := range map[string]string{
		"wss://front.example/":                          "front.example",
		"wss://front.example:8443/":                     "_8443._https.front.example",
		"wss://a.example/;dial=192.0.2.1;sni=b.example": "b.example",
		"wss://front.example/;sni=none":                 "",
	} {
		parsed, err := link.ParseFront(f)
		if got := serviceName(parsed); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", f, got, err, want)
		}
	}
}
