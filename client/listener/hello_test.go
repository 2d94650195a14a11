package listener

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
)

// Numbers of TLS: RFC 6066, section 3.
const (
	extServerName = 0
	nameTypeHost  = 0
)

// scriptConn is a connection that says script, and records what it is told.
type scriptConn struct {
	net.Conn
	script  io.Reader
	written bytes.Buffer
}

func (c *scriptConn) Read(b []byte) (int, error)  { return c.script.Read(b) }
func (c *scriptConn) Write(b []byte) (int, error) { return c.written.Write(b) }
func (c *scriptConn) Close() error                { return nil }
func (c *scriptConn) RemoteAddr() net.Addr        { return &net.TCPAddr{} }

// goHello is the ClientHello that crypto/tls sends with cfg.
func goHello(tb testing.TB, cfg *tls.Config) []byte {
	tb.Helper()
	c := &scriptConn{script: strings.NewReader("")}
	tls.Client(c, cfg).Handshake()
	if c.written.Len() == 0 {
		tb.Fatal("crypto/tls sent no ClientHello")
	}
	return c.written.Bytes()
}

var errSeen = errors.New("seen")

// goServerName is the name that crypto/tls finds in b, and whether it takes b
// for a ClientHello.
func goServerName(b []byte) (name string, ok bool) {
	c := &scriptConn{script: bytes.NewReader(b)}
	tls.Server(c, &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = h.ServerName, true
		return nil, errSeen
	}}).Handshake()
	return name, ok
}

var helloConfigs = map[string]*tls.Config{
	"plain":        {ServerName: "mmg.whatsapp.net"},
	"no name":      {InsecureSkipVerify: true},
	"upper case":   {ServerName: "MMG.WhatsApp.NET"},
	"an address":   {ServerName: "192.0.2.1"},
	"TLS 1.2":      {ServerName: "media.example", MaxVersion: tls.VersionTLS12},
	"TLS 1.0":      {ServerName: "media.example", MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
	"TLS 1.3":      {ServerName: "media.example", MinVersion: tls.VersionTLS13},
	"ALPN":         {ServerName: "media.example", NextProtos: []string{"h2", "http/1.1"}},
	"small curves": {ServerName: "media.example", CurvePreferences: []tls.CurveID{tls.X25519}},
	"large":        {ServerName: strings.Repeat("a.", 120) + "example", NextProtos: []string{strings.Repeat("x", 255)}},
}

func TestParseHelloFindsTheNameThatCryptoTLSFinds(t *testing.T) {
	t.Parallel()
	for name, cfg := range helloConfigs {
		hello := goHello(t, cfg)
		for kind, b := range map[string][]byte{
			"whole":           hello,
			"greased":         grease(hello),
			"in pieces":       refragment(hello, 100),
			"with early data": append(bytes.Clone(hello), 23, 3, 3, 0, 1, 0),
		} {
			want, ok := goServerName(b)
			got, err := parseHello(b)
			if !ok || err != nil || got != strings.ToLower(want) {
				t.Errorf("%s, %s: got %q, %v; want %q, %v", name, kind, got, err, want, ok)
			}
		}
	}
}

// The recorded ones are of OpenSSL 3.0.19 and curl 7.88.1.
func TestParseHelloReadsWhatOthersSend(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"openssl-tls1.3":         "mmg.whatsapp.net",
		"openssl-tls1.2-no-name": "",
		"curl-h2":                "mmg.whatsapp.net",
	} {
		b, err := os.ReadFile("testdata/hello/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseHello(b); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", file, got, err, want)
		}
	}
}

func TestParseHelloAsksForMoreUntilTheHelloIsWhole(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{goHello(t, helloConfigs["plain"]), refragment(goHello(t, helloConfigs["TLS 1.2"]), 1)} {
		for n := range len(b) {
			if _, err := parseHello(b[:n]); err != errShort {
				t.Fatalf("%d of %d bytes: got %v, want %v", n, len(b), err, errShort)
			}
		}
		if _, err := parseHello(b); err != nil {
			t.Errorf("all bytes: got %v, want nil", err)
		}
	}
}

// helloBody is a ClientHello's message without its header.
func helloBody(tb testing.TB, cfg *tls.Config) []byte {
	return goHello(tb, cfg)[recordHeaderLen+messageHeaderLen:]
}

// asHello puts the header of a message, and those of records, before body.
func asHello(body []byte) []byte {
	message := append([]byte{typeClientHello, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	return asRecords(message, maxRecord)
}

func asRecords(message []byte, size int) (b []byte) {
	for len(message) > 0 {
		n := min(size, len(message))
		b = append(b, recordHandshake, 3, 1, byte(n>>8), byte(n))
		b = append(b, message[:n]...)
		message = message[n:]
	}
	return b
}

// refragment spreads the message of hello, one record, over records of size.
func refragment(hello []byte, size int) []byte { return asRecords(hello[recordHeaderLen:], size) }

// extensionsAt is where the extensions' length is in body.
func extensionsAt(body []byte) int {
	at := 34
	at += 1 + int(body[at])
	at += 2 + int(binary.BigEndian.Uint16(body[at:]))
	return at + 1 + int(body[at])
}

// withExtension adds an extension in front of all others.
func withExtension(body []byte, kind uint16, data []byte) []byte {
	at := extensionsAt(body)
	ext := binary.BigEndian.AppendUint16(nil, kind)
	ext = binary.BigEndian.AppendUint16(ext, uint16(len(data)))
	ext = append(ext, data...)
	length := binary.BigEndian.Uint16(body[at:]) + uint16(len(ext))
	b := binary.BigEndian.AppendUint16(bytes.Clone(body[:at]), length)
	b = append(b, ext...)
	return append(b, body[at+2:]...)
}

// grease does what browsers do: unknown extensions, RFC 8701.
func grease(hello []byte) []byte {
	body := hello[recordHeaderLen+messageHeaderLen:]
	return asHello(withExtension(withExtension(body, 0x1a1a, []byte{0}), 0x2a2a, nil))
}

// named is a server_name extension's data.
func named(entries ...string) []byte {
	var list []byte
	for _, e := range entries {
		list = append(list, nameTypeHost, byte(len(e)>>8), byte(len(e)))
		list = append(list, e...)
	}
	return append([]byte{byte(len(list) >> 8), byte(len(list))}, list...)
}

func TestParseHelloRefuses(t *testing.T) {
	t.Parallel()
	bare := helloBody(t, &tls.Config{InsecureSkipVerify: true})
	sni := func(data []byte) []byte { return asHello(withExtension(bare, extServerName, data)) }
	edit := func(at int, v byte) []byte {
		b := asHello(bare)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"application data":         {23, 3, 3, 0, 1, 0},
		"an unknown version":       {22, 2, 0},
		"version 3.5":              {22, 3, 5},
		"an empty record":          {22, 3, 1, 0, 0},
		"too large a record":       {22, 3, 1, 0x40, 1},
		"a ServerHello":            {22, 3, 1, 0, 4, 2, 0, 0, 0},
		"a message of 16 MiB":      {22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff},
		"one over the limit":       {22, 3, 1, 0x40, 0, 1, 0, 0x40, 0},
		"many tiny records":        bytes.Repeat([]byte{22, 3, 1, 0, 1, 1}, maxHello/6+1),
		"a message behind it":      asRecords(append(asHello(bare)[recordHeaderLen:], 1), maxRecord),
		"a session of 33 bytes":    edit(recordHeaderLen+messageHeaderLen+34, 33),
		"an empty body":            asHello(nil),
		"a body of 34 bytes":       asHello(bare[:34]),
		"half the extensions":      asHello(bare[:len(bare)-1]),
		"bytes behind extensions":  asHello(append(bytes.Clone(bare), 0)),
		"odd cipher suites":        asHello(append(append(bytes.Clone(bare[:34]), 0, 0, 3, 1, 2, 3), 1, 0)),
		"no cipher suites":         asHello(append(append(bytes.Clone(bare[:34]), 0, 0, 0), 1, 0)),
		"an extension twice":       asHello(withExtension(withExtension(bare, 0x1a1a, nil), 0x1a1a, nil)),
		"an empty name":            sni(named("")),
		"no names":                 sni(named()),
		"two names":                sni(named("a.example", "b.example")),
		"bytes behind the names":   sni(append(named("a.example"), 0)),
		"a name with a dot at end": sni(named("mmg.whatsapp.net.")),
		"a name with a dot first":  sni(named(".whatsapp.net")),
		"a name with a zero":       sni(named("evil\x00.whatsapp.net")),
		"a name with a slash":      sni(named("evil/.whatsapp.net")),
		"a name of 254 bytes":      sni(named(strings.Repeat("a", 254))),
	} {
		if got, err := parseHello(b); err != errHello {
			t.Errorf("%s: got %q, %v; want %v", name, got, err, errHello)
		}
	}
}

// These are no business of the listener's: none names a host, so they are taken
// for chat, whose TLS ends here and refuses what it must.
func TestParseHelloLeavesToTLSWhatNamesNoHost(t *testing.T) {
	t.Parallel()
	bare := helloBody(t, &tls.Config{InsecureSkipVerify: true})
	old := asHello(bare)
	old[recordHeaderLen+messageHeaderLen] = 2
	for name, b := range map[string][]byte{
		"a name of another type": asHello(withExtension(bare, extServerName, []byte{0, 4, 1, 0, 1, 'a'})),
		"no compression":         asHello(append(bytes.Clone(bare[:34]), 0, 0, 2, 1, 2, 0)),
		"a message's version 2":  old,
	} {
		if got, err := parseHello(b); got != "" || err != nil {
			t.Errorf("%s: got %q, %v; want no name and nil", name, got, err)
		}
	}
}

func TestParseHelloTakesOneWithoutExtensions(t *testing.T) {
	t.Parallel()
	body := append(make([]byte, 34), 0, 0, 2, 0, 47, 1, 0)
	body[0] = 3
	if got, err := parseHello(asHello(body)); got != "" || err != nil {
		t.Errorf("got %q, %v; want no name and nil", got, err)
	}
}

// What is decided stays decided whatever follows in further records, and
// crypto/tls never sees another name in it.
func FuzzParseHello(f *testing.F) {
	for _, cfg := range helloConfigs {
		hello := goHello(f, cfg)
		f.Add(hello)
		f.Add(refragment(hello, 200))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, err := parseHello(b)
		for _, n := range []int{len(b) / 2, len(b) - 1} {
			if n < 0 {
				continue
			}
			if _, early := parseHello(b[:n]); early == errHello && err != errHello {
				t.Errorf("%d bytes are %v, all are %v", n, early, err)
			}
		}
		if err != nil {
			return
		}
		if again, err := parseHello(append(b[:len(b):len(b)], 23, 3, 3)); again != name || err != nil {
			t.Errorf("with bytes behind it: got %q, %v; want %q", again, err, name)
		}
		if theirs, ok := goServerName(b); ok && strings.ToLower(theirs) != name {
			t.Errorf("got %q, crypto/tls sees %q", name, theirs)
		}
	})
}

func BenchmarkParseHello(b *testing.B) {
	hello := goHello(b, helloConfigs["plain"])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseHello(hello); err != nil {
			b.Fatal(err)
		}
	}
}
