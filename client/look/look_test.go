package look

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"culvert/internal/selfsigned"

	utls "github.com/refraction-networking/utls"
	"golang.org/x/crypto/cryptobyte"
)

// certificate is that of all servers of these tests.
var certificate = sync.OnceValue(func() tls.Certificate {
	cert, err := selfsigned.Make(time.Now(), 48*time.Hour, "front.example")
	if err != nil {
		panic(err)
	}
	return *cert
})

// recorder keeps what was written first.
type recorder struct {
	net.Conn
	first []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.first == nil {
		r.first = bytes.Clone(b)
	}
	return r.Conn.Write(b)
}

// shake has l shake hands with a server of Go's, which says "hi" then. It returns the ClientHello's record, too.
func shake(t testing.TB, l *Look, cfg Config, server *tls.Config) (*Conn, []byte) {
	t.Helper()
	near, far := tcpPipe(t)
	server.Certificates = []tls.Certificate{certificate()}
	go func() {
		defer far.Close()
		c := tls.Server(far, server)
		if c.Handshake() == nil {
			io.WriteString(c, "hi")
			c.Close()
		}
	}()
	r := &recorder{Conn: near}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg.Verify = anybody
	c, err := l.Handshake(ctx, r, cfg)
	if err != nil {
		t.Fatalf("%s: %v", l.Name(), err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "hi" {
		t.Fatalf("%s: got %q, %v, want hi", l.Name(), b, err)
	}
	return c, r.first
}

// anybody is believed where a test is about something else.
func anybody(tls.ConnectionState) error { return nil }

// Who forgets to say whom to believe believes nobody.
func TestAPeerThatNothingVerifiesIsRefused(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	if _, err := all()[0].Handshake(t.Context(), near, Config{Name: "front.example"}); !errors.Is(err, errNoJudge) {
		t.Errorf("got %v, want %v", err, errNoJudge)
	}
}

// tcpPipe is a connection by the loopback interface, which is closed in the end.
func tcpPipe(t testing.TB) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestEachLookShakesHandsWithWhateverServersHave(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		for name, c := range map[string]struct {
			cfg    Config
			server *tls.Config
			check  func(tls.ConnectionState) bool
		}{
			"TLS 1.3":            {Config{Name: "front.example"}, &tls.Config{}, func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS13 }},
			"TLS 1.2":            {Config{Name: "front.example"}, &tls.Config{MaxVersion: tls.VersionTLS12}, func(s tls.ConnectionState) bool { return s.Version == tls.VersionTLS12 }},
			"X25519 alone":       {Config{Name: "front.example"}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, nil},
			"P-256":              {Config{Name: "front.example"}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, nil},
			"P-256, a page":      {Config{Name: "front.example", Kind: Page}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, nil},
			"P-256, small":       {Config{Name: "front.example", Small: true}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, nil},
			"a second hello":     {Config{Name: "front.example"}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, nil},
			"small":              {Config{Name: "front.example", Small: true}, &tls.Config{}, nil},
			"small, again":       {Config{Name: "front.example", Small: true}, &tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP384}}, nil},
			"without a name":     {Config{}, &tls.Config{}, nil},
			"a socket":           {Config{Name: "front.example"}, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "http/1.1" }},
			"a page":             {Config{Name: "front.example", Kind: Page}, &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "h2" }},
			"a page by HTTP/1.1": {Config{Name: "front.example", Kind: Page}, &tls.Config{NextProtos: []string{"http/1.1"}}, func(s tls.ConnectionState) bool { return s.NegotiatedProtocol == "http/1.1" }},
		} {
			conn, _ := shake(t, l, c.cfg, c.server)
			if s := conn.ConnectionState(); len(s.PeerCertificates) != 1 || c.check != nil && !c.check(s) {
				t.Errorf("%s, %s: got %s, %q, %d certificates", l.Name(), name, tls.VersionName(s.Version), s.NegotiatedProtocol, len(s.PeerCertificates))
			}
		}
	}
}

// uTLS cannot offer a ticket to a server that wants a second ClientHello.
func TestAServerThatWantsASecondHelloIsOfferedNoTicket(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		tickets := &Tickets{}
		cfg, server := Config{Name: "front.example", Tickets: tickets}, &tls.Config{}
		shake(t, l, cfg, server)
		server.CurvePreferences = []tls.CurveID{tls.CurveP384} // from now on
		near, far := tcpPipe(t)
		go tls.Server(far, server).Handshake()
		cfg.Verify = anybody
		if _, err := l.Handshake(t.Context(), near, cfg); !errors.Is(err, ErrTicket) {
			t.Errorf("%s: got %v, want %v", l.Name(), err, ErrTicket)
		}
		for range 2 {
			if c, _ := shake(t, l, cfg, server); c.ConnectionState().DidResume {
				t.Errorf("%s: got a session resumed", l.Name())
			}
		}
		tickets.Forget()
		for range 2 {
			shake(t, l, cfg, server)
		}
	}
}

func TestTheHybridKeyIsAgreedOn(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		server := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}
		if _, hello := shake(t, l, Config{Name: "front.example"}, server); len(hello) < 1216 {
			t.Errorf("%s: got a ClientHello of %d bytes, want one with a share of ML-KEM", l.Name(), len(hello))
		}
	}
}

func TestASmallClientHelloFitsOnePacket(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		for range 20 {
			if _, hello := shake(t, l, Config{Name: strings.Repeat("a", 60) + ".example", Small: true}, &tls.Config{}); len(hello) > 1200 {
				t.Errorf("%s: got %d bytes, want 1200 at most, so that a ticket fits, too", l.Name(), len(hello))
			}
		}
	}
}

// extensions are those of a ClientHello, in their order.
func extensions(t testing.TB, record []byte) (numbers []uint16, bodies map[uint16][]byte) {
	t.Helper()
	s := cryptobyte.String(record)
	var session, suites, methods, list cryptobyte.String
	if !s.Skip(5+4+2+32) || !s.ReadUint8LengthPrefixed(&session) || !s.ReadUint16LengthPrefixed(&suites) ||
		!s.ReadUint8LengthPrefixed(&methods) || !s.ReadUint16LengthPrefixed(&list) {
		t.Fatalf("got %x, want a ClientHello", record)
	}
	bodies = make(map[uint16][]byte)
	for !list.Empty() {
		var number uint16
		var body cryptobyte.String
		if !list.ReadUint16(&number) || !list.ReadUint16LengthPrefixed(&body) {
			t.Fatalf("got %x, want extensions", record)
		}
		if isGREASE(number) {
			number = 0x0a0a
		}
		numbers = append(numbers, number)
		bodies[number] = body
	}
	return numbers, bodies
}

// played are some ClientHellos of l.
func played(t testing.TB, l *Look, kind Kind, count int) (records [][]byte) {
	t.Helper()
	for range count {
		near, far := net.Pipe()
		u, err := l.prepare(near, Config{Kind: kind, Name: "www.site.test"})
		if err == nil {
			err = u.BuildHandshakeState()
		}
		near.Close()
		far.Close()
		if err != nil {
			t.Fatal(err)
		}
		hello := u.HandshakeState.Hello.Raw
		records = append(records, append([]byte{22, 3, 1, byte(len(hello) >> 8), byte(len(hello))}, hello...))
	}
	return records
}

func TestAClientHelloHasWhatTheBrowserSaysInAnOrderOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		for _, kind := range []Kind{Socket, Page} {
			want, _ := extensions(t, l.captured(kind))
			orders, lengths := make(map[string]bool), make(map[int]bool)
			for _, record := range played(t, l, kind, 60) {
				got, _ := extensions(t, record)
				orders[string(encoded(got))], lengths[len(record)] = true, true
				if !slices.Equal(sorted(got), sorted(want)) {
					t.Fatalf("%s: got extensions %x, want %x", l.Name(), got, want)
				}
				if l.data.Shuffled && (got[0] != 0x0a0a || got[len(got)-1] != 0x0a0a) {
					t.Errorf("%s: got %x, want GREASE first and last", l.Name(), got)
				}
			}
			if l.data.Shuffled != (len(orders) > 50) || !l.data.Shuffled && len(orders) != 1 {
				t.Errorf("%s: got %d orders in 60, and the browser shuffles: %v", l.Name(), len(orders), l.data.Shuffled)
			}
			if len(lengths) != len(l.data.ECHPayloads) {
				t.Errorf("%s: got %d lengths in 60, want %d", l.Name(), len(lengths), len(l.data.ECHPayloads))
			}
		}
	}
}

func sorted(all []uint16) []uint16 {
	all = slices.Clone(all)
	slices.Sort(all)
	return all
}

func encoded(all []uint16) (b []byte) {
	for _, v := range all {
		b = append(b, byte(v>>8), byte(v))
	}
	return b
}

// What a browser draws anew for each connection must be as random here, and no more random.
func TestNothingOfTheCapturedConnectionIsSentAgain(t *testing.T) {
	t.Parallel()
	const echKey = 8 // bytes before the key of an ECH
	for _, l := range all() {
		_, old := extensions(t, l.captured(Socket))
		signatures := make(map[string]bool)
		for _, record := range played(t, l, Socket, 40) {
			_, now := extensions(t, record)
			for _, number := range []uint16{0xfe0d, 51} {
				if bytes.Equal(now[number], old[number]) {
					t.Errorf("%s: extension %d is as it was captured", l.Name(), number)
				}
			}
			if now[0xfe0d][echKey+31]&0x80 != 0 {
				t.Errorf("%s: the key of ECH is none of X25519, whose highest bit is never set", l.Name())
			}
			signatures[string(now[13])] = true
		}
		if first := old[13][2:4]; isGREASE(uint16(first[0])<<8|uint16(first[1])) != (len(signatures) > 1) {
			t.Errorf("%s: got %d lists of signature algorithms, first captured is %x", l.Name(), len(signatures), first)
		}
	}
}

// NSS has one key of X25519 in both shares, BoringSSL has two.
func TestTheKeySharesHaveOneKeyWhereTheBrowserHasOne(t *testing.T) {
	t.Parallel()
	for _, l := range all() {
		for _, record := range append(played(t, l, Socket, 3), l.data.Socket) {
			_, bodies := extensions(t, record)
			shares, keys := cryptobyte.String(bodies[51][2:]), map[uint16][]byte{}
			for !shares.Empty() {
				var group uint16
				var key cryptobyte.String
				if !shares.ReadUint16(&group) || !shares.ReadUint16LengthPrefixed(&key) {
					t.Fatal("got no key shares")
				}
				keys[group] = key
			}
			if got := bytes.HasSuffix(keys[uint16(utls.X25519MLKEM768)], keys[uint16(utls.X25519)]); got != l.data.OneKey {
				t.Errorf("%s: got one key: %v, want %v", l.Name(), got, l.data.OneKey)
			}
		}
	}
}

func TestLooksAreChosenAsOftenAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	count := make(map[string]int)
	for chance := range 256 {
		count[Chosen(byte(chance)).Name()]++
	}
	for name, want := range share {
		if count[name] != want {
			t.Errorf("%s: got %d of 256, want %d", name, count[name], want)
		}
	}
	if first := all()[0]; first.Next() == first || first.Next().Next() != first {
		t.Error("the next looks do not lead around")
	}
}

// changed is the look of a name whose data something has changed.
func changed(t testing.TB, name string, change func(*Data)) []byte {
	t.Helper()
	l, err := Named(name)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(l.data)
	if err != nil {
		t.Fatal(err)
	}
	var d Data
	if err := json.Unmarshal(whole, &d); err != nil {
		t.Fatal(err)
	}
	change(&d)
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestALookThatCannotBePlayedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Data)
		want   string
	}{
		"no hello":               {func(d *Data) { d.Socket = nil }, "no record of one ClientHello"},
		"a cut hello":            {func(d *Data) { d.Socket = d.Socket[:900] }, "no record of one ClientHello"},
		"half an extension":      {func(d *Data) { d.Socket = d.Socket[:900]; d.Socket[3], d.Socket[4] = 3, 127 }, "wss://"},
		"another record":         {func(d *Data) { d.Page[0] = 23 }, "https://"},
		"a page's for sockets":   {func(d *Data) { d.Socket = d.Page }, "http/1.1 alone"},
		"no ciphers of ECH":      {func(d *Data) { d.ECHCiphers = nil }, "ECH"},
		"no lengths of ECH":      {func(d *Data) { d.ECHPayloads = nil }, "ECH"},
		"an unknown ECH":         {func(d *Data) { d.ECHCiphers = append(d.ECHCiphers, 4) }, "HPKE"},
		"a short ECH":            {func(d *Data) { d.ECHPayloads = []uint16{3} }, "ECH"},
		"no upgrade":             {func(d *Data) { d.Upgrade = nil }, "WebSocket"},
		"an upgrade without key": {func(d *Data) { d.Upgrade = d.Upgrade[:6] }, "{key}"},
		"two lines in one":       {func(d *Data) { d.Visit[1] = "Host: {host}\r\nX: y" }, "no header"},
		"no request":             {func(d *Data) { d.Connect[0] = "Host: {target}" }, "no line of a request"},
		"no fields by HTTP/2":    {func(d *Data) { d.H2.Fields = nil }, ":method"},
		"no window by HTTP/2":    {func(d *Data) { d.H2.Window = 0 }, "cannot be"},
	} {
		_, err := Parse(changed(t, "chromium", c.change))
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "make looks") {
			t.Errorf("%s: got %v, want %q in it and what to do", name, err, c.want)
		}
	}
	for _, b := range []string{"", "{}", "[]", "{", strings.Repeat(" ", maxData) + "{}"} {
		if _, err := Parse([]byte(b)); err == nil || !strings.Contains(err.Error(), "make looks") {
			t.Errorf("%.10q: got %v, want what to do", b, err)
		}
	}
}

// Whatever Parse accepts begins a connection, and nothing has it panic.
func FuzzParse(f *testing.F) {
	for _, name := range Names() {
		f.Add(changed(f, name, func(*Data) {}))
		f.Add(changed(f, name, func(d *Data) { d.Socket = d.Socket[:1000] }))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := Parse(b); err == nil {
			played(t, l, Socket, 1)
			played(t, l, Page, 1)
		}
	})
}

// FuzzHello changes the bytes of captured ClientHellos themselves.
func FuzzHello(f *testing.F) {
	for _, l := range all() {
		f.Add(l.Name(), l.data.Socket)
		f.Add(l.Name(), l.data.Page)
	}
	f.Fuzz(func(t *testing.T, name string, record []byte) {
		base, err := Named(name)
		if err != nil {
			return
		}
		l := &Look{base.data}
		l.data.Page = record
		if l.checkHello(Page) == nil {
			played(t, l, Page, 1)
		}
	})
}

// A server that agrees on RSA key exchange is refused: browsers offer it, and whoever gets the server's key later
// could read what was sent.
func TestKeysThatOpenLaterAreRefused(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"front.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	for suite, want := range map[uint16]error{tls.TLS_RSA_WITH_AES_128_GCM_SHA256: errNoSecrecy, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: nil} {
		for _, l := range all() {
			near, far := tcpPipe(t)
			server := tls.Server(far, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite},
				Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
			go server.Handshake()
			if _, err := l.Handshake(t.Context(), near, Config{Name: "front.example", Verify: anybody}); !errors.Is(err, want) {
				t.Errorf("%s, suite %x: got %v, want %v", l.Name(), suite, err, want)
			}
		}
	}
}
