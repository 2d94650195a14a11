package link

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"culvert/internal/seal"
)

const pinA = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// echA is an ECH configuration with the public name public.example, as DNS writes it.
const echA = "AEH+DQA9BwAgACABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQAEAAEAAQAOcHVibGljLmV4YW1wbGUAAA=="

// A client that cannot encrypt the name of a front must not show it: older ones do not read such a link.
func TestALinkWithECHIsOfAVersionOfItsOwn(t *testing.T) {
	t.Parallel()
	l := Link{Keys: vectors(t)[0].parsed(t).Keys, Fronts: []Front{mustFront(t, "wss://a.example/"), mustFront(t, "wss://b.example/;look=firefox;visit=no;ech="+echA)}}
	got, err := Parse(l.String())
	if err != nil || !reflect.DeepEqual(got.Fronts, l.Fronts) || got.QR() != l.QR() {
		t.Fatalf("got %v, %v, want %v", got, err, l.Fronts)
	}
	if b, err := l.encode(); err != nil || b[0] != versionECH {
		t.Errorf("got version %d, %v, want %d", b[0], err, versionECH)
	}
	l.Fronts = l.Fronts[:1]
	if b, err := l.encode(); err != nil || b[0] != version {
		t.Errorf("without ECH: got version %d, %v, want %d", b[0], err, version)
	}
	if _, err := ParseResolver("https://a.example/;ech=" + echA); err == nil {
		t.Error("got a resolver with ECH, want none")
	}
}

func TestFrontsHaveOneSpelling(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"wss://a.example":                                        "wss://a.example/",
		"wss://A.Example.:443/":                                  "wss://a.example/",
		"wss://a.example:8443/ws":                                "wss://a.example:8443/ws",
		"wss://a.example/?ed=2048":                               "wss://a.example/?ed=2048",
		"wss://a.example/;dial=a.example":                        "wss://a.example/",
		"wss://a.example:8443/;dial=192.0.2.1":                   "wss://a.example:8443/;dial=192.0.2.1:8443",
		"wss://a.example/;dial=b.example:99;dial=[2001:DB8::01]": "wss://a.example/;dial=b.example:99;dial=[2001:db8::1]:443",
		"wss://a.example/;sni=A.example":                         "wss://a.example/",
		"wss://a.example/;verify=b.example;sni=b.example":        "wss://a.example/;sni=b.example",
		"wss://a.example/;verify=a.example;sni=b.example":        "wss://a.example/;sni=b.example;verify=a.example",
		"wss://a.example/;sni=none;verify=a.example":             "wss://a.example/;sni=none",
		"wss://192.0.2.1/;sni=none":                              "wss://192.0.2.1/",
		"wss://192.0.2.1/;verify=192.0.2.1":                      "wss://192.0.2.1/",
		"wss://[::ffff:192.0.2.1]/":                              "wss://192.0.2.1/",
		"wss://[2001:db8:0::1]:8443/":                            "wss://[2001:db8::1]:8443/",
		"wss://cdn.example/;host=b.example":                      "wss://b.example/;dial=cdn.example:443;sni=cdn.example",
		"wss://cdn.example:8443/;host=b.example":                 "wss://b.example/;dial=cdn.example:8443;sni=cdn.example",
		"wss://cdn.example/;host=cdn.example":                    "wss://cdn.example/",
		"wss://192.0.2.1/x;host=b.example":                       "wss://b.example/x;dial=192.0.2.1:443;sni=none",
		"wss://cdn.example/;host=b.example;dial=1.1.1.1;sni=c.d": "wss://b.example/;dial=1.1.1.1:443;sni=c.d",
		"wss://a.example/;pin=" + strings.ToUpper(pinA):          "wss://a.example/;pin=" + pinA,
		"wss://a.example/;ech=" + strings.Trim(echA, "="):        "wss://a.example/;ech=" + echA,
		"wss://192.0.2.1/;ech=" + echA + ";sni=a.example":        "wss://192.0.2.1/;sni=a.example;ech=" + echA,
	} {
		f, err := ParseFront(in)
		if err != nil || f.String() != want {
			t.Errorf("%s: got %s, %v, want %s", in, f, err, want)
			continue
		}
		if again, err := ParseFront(want); err != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("%s: got %+v, %v, want %+v", want, again, err, f)
		}
	}
}

func TestFrontsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                      "write it as wss://",
		"a.example":                             "write it as wss://",
		"https://a.example/":                    "write it as wss://",
		"ws://a.example/":                       "nothing but wss",
		"wss://":                                "a host is",
		"wss:///path":                           "a host is",
		"wss://user@a.example/":                 "a host is",
		"wss://a b/":                            "a host is",
		"wss://a_b.example/":                    "a host is",
		"wss://\u212aelvin.example/":            "a host is",
		"wss://-a.example/":                     "a host is",
		"wss://a-.example/":                     "a host is",
		"wss://a..example/":                     "a host is",
		"wss://a.1234/":                         "a host is",
		"wss://a.0X7f/":                         "a host is",
		"wss://0x7f000001/":                     "a host is",
		"wss://a.0x/":                           "a host is",
		"wss://192.0.2.256/":                    "a host is",
		"wss://bücher.example/":                 "xn--",
		"wss://" + strings.Repeat("a", 64):      "a host is",
		"wss://" + strings.Repeat("a.", 128):    "a host is",
		"wss://a.example:/":                     "a port is",
		"wss://a.example:0/":                    "a port is",
		"wss://a.example:65536/":                "a port is",
		"wss://a.example:+443/":                 "a port is",
		"wss://a.example:0443/":                 "a port is",
		"wss://2001:db8::1/":                    "in brackets",
		"wss://[a.example]/":                    "a host is",
		"wss://[2001:db8::1/":                   "a host is",
		"wss://[2001:db8::1]x/":                 "a host is",
		"wss://[fe80::1%eth0]/":                 "no zone",
		"wss://a.example?x":                     "a host is",
		"wss://a.example/#x":                    "a path starts",
		"wss://a.example/a b":                   "a path starts",
		"wss://a.example/\r\nX: y":              "a path starts",
		"wss://a.example/%2":                    "a path starts",
		"wss://a.example/%zz":                   "a path starts",
		"wss://a.example/é":                     "a path starts",
		"wss://a/" + strings.Repeat("a", 255):   "a path starts",
		"wss://a.example/;":                     "NAME=VALUE",
		"wss://a.example/;sni":                  "NAME=VALUE",
		"wss://a.example/;sni=":                 "NAME=VALUE",
		"wss://a.example/;=x":                   "unknown option",
		"wss://a.example/;insecure=1":           "unknown option",
		"wss://a.example/;sni=a;sni=b":          "sni is given twice",
		"wss://a.example/;door=back":            "door is stream",
		"wss://a.example/;door=none;door=none":  "door is stream",
		"wss://a.example/;host=a;host=b":        "host is given twice",
		"wss://a.example/;sni=192.0.2.1":        "sni: give a host name",
		"wss://a.example/;ech=x":                "HTTPS record",
		"wss://a.example/;ech=AAAA":             "HTTPS record",
		"wss://a.example/;sni=none;ech=" + echA: "sends no name to encrypt",
		"wss://192.0.2.1/;ech=" + echA:          "sends no name to encrypt",
		"wss://a.example/;sni=None.":            "sni: give a host name",
		"wss://a.example/;sni=a b":              "sni: a host is",
		"wss://a.example/;host=a b":             "host: a host is",
		"wss://a.example/;verify=*.example":     "verify: a host is",
		"wss://a.example/;verify=b:443":         "verify: a host is",
		"wss://a.example/;dial=b:0":             "dial: a port is",
		"wss://a.example/;dial=b;dial=b:443":    "dial: the same address twice",
		"wss://a.example/;dial=2001:db8::1":     "dial: write an IPv6",
		"wss://a.example/;pin=12":               "pin: a pin is",
		"wss://a.example/;pin=x" + pinA[1:]:     "pin: a pin is",
		"wss://a.example/;pin=" + pinA + "00":   "pin: a pin is",
		"wss://a/;pin=" + pinA + ";pin=" + pinA: "pin: the same pin twice",
		"wss://a/" + dials(maxDial+1):           "at most 8 addresses",
		"wss://a/" + strings.Repeat("x", 9000):  "longer than",
	} {
		if f, err := ParseFront(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %q", in, f, err, want)
		}
	}
}

func dials(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(";dial=a" + strings.Repeat("b", i))
	}
	return b.String()
}

func TestWhatAFrontLeavesOutFollowsFromItsHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][4]string{ // URL, first address, SNI, verified name
		"wss://a.example/":                        {"wss://a.example/", "a.example:443", "a.example", "a.example"},
		"wss://a.example:8443/x":                  {"wss://a.example:8443/x", "a.example:8443", "a.example", "a.example"},
		"wss://127.0.0.1:8443/":                   {"wss://127.0.0.1:8443/", "127.0.0.1:8443", "", "127.0.0.1"},
		"wss://[2001:db8::1]/":                    {"wss://[2001:db8::1]/", "[2001:db8::1]:443", "", "2001:db8::1"},
		"wss://a.example/;sni=none":               {"wss://a.example/", "a.example:443", "", "a.example"},
		"wss://a.example/;sni=b.example":          {"wss://a.example/", "a.example:443", "b.example", "b.example"},
		"wss://a.example/;verify=c.example":       {"wss://a.example/", "a.example:443", "a.example", "c.example"},
		"wss://b.example/;host=a.example;sni=c.d": {"wss://a.example/", "b.example:443", "c.d", "c.d"},
	} {
		f := mustFront(t, in)
		if got := [4]string{f.URL(), f.Addrs()[0], f.ServerName(), f.VerifyName()}; got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

// What ParseFront accepts, String spells so that ParseFront reads the same,
// and a link carries it.
func FuzzParseFront(f *testing.F) {
	for _, v := range vectors(f) {
		for _, s := range v.Fronts {
			f.Add(s)
		}
	}
	f.Add("wss://a.example/;look=firefox")
	f.Add("wss://a.example/;look=firefox;visit=no")
	f.Add("wss://a.example/;ech=" + echA)
	f.Add("wss://Cdn.example:8443/a%20b?c;host=192.0.2.1:99;dial=[::1]:7;sni=none;verify=B.")
	keys := vectors(f)[0].parsed(f).Keys
	f.Fuzz(func(t *testing.T, s string) {
		front, err := ParseFront(s)
		if err != nil {
			return
		}
		if again, err := ParseFront(front.String()); err != nil || !reflect.DeepEqual(again, front) {
			t.Errorf("got %+v, %v, want %+v", again, err, front)
		}
		l := Link{Keys: keys, Fronts: []Front{front}}
		if got, err := Parse(l.String()); err != nil || !reflect.DeepEqual(got.Fronts, l.Fronts) {
			t.Errorf("got %+v, %v, want %+v", got, err, l.Fronts)
		}
	})
}

// A link says of each front which door it leads to, and a link without a front
// to the gateway door is no byte longer for that.
func TestEveryFrontKeepsItsDoor(t *testing.T) {
	t.Parallel()
	keys := seal.NewMaster().Client(7)
	var all []Front
	for i, s := range []string{"wss://a.example/;door=stream", "wss://b.example/v1;door=gateway", "wss://a.example/v1;sni=none;door=gateway"} {
		f, err := ParseFront(s)
		if err != nil || f.Gateway != (i > 0) {
			t.Fatalf("%s: got %v, %v", s, f, err)
		}
		if again, err := ParseFront(f.String()); err != nil || !reflect.DeepEqual(again, f) {
			t.Errorf("got %v, %v, want %v", again, err, f)
		}
		all = append(all, f)
		got, err := Parse((&Link{Keys: keys, Fronts: all}).String())
		if err != nil || !reflect.DeepEqual(got.Fronts, all) {
			t.Errorf("got %v, %v, want %v", got, err, all)
		}
	}
}

// A list of doors that names none has another spelling: no list.
func TestALinkHasOneSpellingOfItsDoors(t *testing.T) {
	t.Parallel()
	l := &Link{Keys: seal.NewMaster().Client(1), Fronts: []Front{{Host: "a.example", Path: "/"}}}
	b, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, doors := range [][2]byte{{0, 0}, {0, 2}} {
		bad := append(append([]byte{}, b[:84]...), 1+countDoors, doors[0], doors[1])
		bad, err := finish(append(bad, b[85:len(b)-checksumLen]...))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(Scheme + encoding.EncodeToString(bad)); err != errRules {
			t.Errorf("doors %v: got %v, %v, want %v", doors, got, err, errRules)
		}
	}
}

// A link says of each front and resolver which look it is to see, and one without looks is no byte longer for that.
func TestEveryFrontAndResolverKeepsItsLook(t *testing.T) {
	t.Parallel()
	keys := seal.NewMaster().Client(7)
	l := &Link{Keys: keys, Fronts: []Front{
		mustFront(t, "wss://a.example/;look=firefox"), mustFront(t, "wss://b.example/v1;door=gateway;look=auto"), mustFront(t, "wss://c.example/"),
	}}
	for range 2 {
		got, err := Parse(l.String())
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("got %+v, %v, want %+v", got, err, l)
		}
		l.Resolvers = []Resolver{mustResolver(t, "https://r.example/dns-query;look=chromium")}
	}
	if f := l.Fronts[0]; f.Look != "firefox" || f.String() != "wss://a.example/;look=firefox" || l.Fronts[1].Look != "" {
		t.Errorf("got %v, want firefox for the first alone", l.Fronts)
	}
	for _, bad := range []string{"Firefox", "a b", strings.Repeat("a", maxLook+1), "../x"} {
		if f, err := ParseFront("wss://a.example/;look=" + bad); err == nil || !strings.Contains(err.Error(), "look") {
			t.Errorf("%q: got %v, %v, want what a look is", bad, f, err)
		}
	}
}

// A link says whether a front's page is asked for; clients that know no visits take that for a look that they do not know.
func TestAFrontMaySayThatItsPageIsNotAskedFor(t *testing.T) {
	t.Parallel()
	l := &Link{Keys: seal.NewMaster().Client(7), Fronts: []Front{
		mustFront(t, "wss://a.example/;visit=no"), mustFront(t, "wss://b.example/;visit=no;look=firefox"), mustFront(t, "wss://c.example/;visit=yes"),
	}}
	got, err := Parse(l.String())
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("got %+v, %v, want %+v", got, err, l)
	}
	for i, want := range []string{"wss://a.example/;visit=no", "wss://b.example/;look=firefox;visit=no", "wss://c.example/"} {
		if f := l.Fronts[i]; f.String() != want || f.NoVisit != (i < 2) {
			t.Errorf("got %s, want %s", f, want)
		}
	}
	if f := mustFront(t, "wss://b.example/v1;door=gateway;visit=no"); f.NoVisit {
		t.Errorf("got %s, want nothing said of a page that there is not", f)
	}
	for _, bad := range []string{"wss://a.example/;visit=never", "wss://a.example/;visit=no;visit=no", "wss://a.example/;look=0firefox"} {
		if f, err := ParseFront(bad); err == nil {
			t.Errorf("%s: got %v, want a refusal", bad, f)
		}
	}
	if r, err := ParseResolver("https://r.example/;visit=no"); err == nil || !strings.Contains(err.Error(), "visit") {
		t.Errorf("got %v, %v, want what to leave out", r, err)
	}
}

// A list of looks that names none has another spelling: no list.
func TestALinkHasOneSpellingOfItsLooks(t *testing.T) {
	t.Parallel()
	l := &Link{Keys: seal.NewMaster().Client(1), Fronts: []Front{{Host: "a.example", Path: "/"}}}
	b, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, looks := range []string{"\x00", "\x04auto", "\x07Firefox", ""} {
		bad := append(bytes.Clone(b[:84]), 1+countLooks)
		bad, err := finish(append(append(bad, b[85:len(b)-checksumLen]...), looks...))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(Scheme + encoding.EncodeToString(bad)); err != errRules {
			t.Errorf("looks %q: got %v, %v, want %v", looks, got, err, errRules)
		}
	}
}

func TestThePinIsOfTheFirstCertificatesKey(t *testing.T) {
	t.Parallel()
	var file []byte
	var first []byte // the public key in DER
	for i := range 2 {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(i + 1))}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first, _ = x509.MarshalPKIXPublicKey(&key.PublicKey)
			file = append(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")})...)
		}
		file = append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	got, err := PinPEM(file)
	if want := Pin(sha256.Sum256(first)); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if again, err := parsePin(got.String()); err != nil || again != got {
		t.Errorf("got %s, %v, want %s", again, err, got)
	}
}

func TestAFileWithoutACertificateHasNoPin(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"": "no certificate",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n": "no certificate",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n": "read certificate",
	} {
		if p, err := PinPEM([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v, want %q", file, p, err, want)
		}
	}
}
