package listener

import (
	"bytes"
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

func TestSniffKnowsServicesByTheirFirstBytes(t *testing.T) {
	t.Parallel()
	media := goHello(t, helloConfigs["upper case"])
	other := goHello(t, &tls.Config{ServerName: "whatsapp.net.example"})
	for _, c := range []struct {
		name, in string
		want     verdict
		sni      string
	}{
		{"nothing", "", undecided, ""},
		{"a chat's first byte", "W", undecided, ""},
		{"chat", "WA\x06\x03", rawChat, ""},
		{"chat with edge routing", "ED\x00\x01", rawChat, ""},
		{"almost chat", "WB", foreign, ""},
		{"lower case", "wa", foreign, ""},
		{"media", string(media), mediaTLS, "mmg.whatsapp.net"},
		{"half of media", string(media[:len(media)/2]), undecided, ""},
		{"TLS with another name", string(other), chatTLS, ""},
		{"TLS without a name", string(goHello(t, helloConfigs["no name"])), chatTLS, ""},
		{"a broken ClientHello", "\x16\x03\x01\x00\x00", foreign, ""},
		{"GET", "GET / HTTP/1.1\r\n", webPage, ""},
		{"half of GET", "GE", undecided, ""},
		{"POST", "POST / HTTP/1.1\r\n", foreign, ""},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", foreign, ""},
		{"no method", "GETTY", foreign, ""},
		{"SSH", "SSH-2.0-", foreign, ""},
		{"SOCKS", "\x05\x01\x00", foreign, ""},
		{"a PROXY header that nobody asked for", "PROXY TCP4 ", foreign, ""},
	} {
		if got, sni := sniff([]byte(c.in)); got != c.want || sni != c.sni {
			t.Errorf("%s: got %v, %q; want %v, %q", c.name, got, sni, c.want, c.sni)
		}
	}
}

// A verdict once given holds whatever follows.
func FuzzSniff(f *testing.F) {
	f.Add([]byte("WA\x06\x03"), []byte("more"))
	f.Add([]byte("GET /"), []byte(" "))
	f.Add(goHello(f, helloConfigs["plain"]), []byte{23, 3, 3})
	f.Fuzz(func(t *testing.T, b, more []byte) {
		v, sni := sniff(b)
		if v == undecided {
			return
		}
		if again, name := sniff(append(bytes.Clone(b), more...)); again != v || name != sni {
			t.Errorf("got %v, %q after more bytes, want %v, %q", again, name, v, sni)
		}
	})
}

func BenchmarkSniffChat(b *testing.B) {
	opening := []byte("WA\x06\x03\x00\x00\x24")
	b.ReportAllocs()
	for b.Loop() {
		if v, _ := sniff(opening); v != rawChat {
			b.Fatal(v)
		}
	}
}

var proxyHeaders = map[string]string{
	"v1":          "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
	"v1, IPv6":    "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n",
	"v1, unknown": "PROXY UNKNOWN\r\n",
	"v2":          "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02",
	"v2, field":   "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x01\xc0\x00\x02\x02\x00\x01\x00\x02\x04\x00\x01\x00",
	"v2, local":   "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
}

func TestProxyHeaderLenEndsWhereTheHeaderEnds(t *testing.T) {
	t.Parallel()
	for name, h := range proxyHeaders {
		if _, n, err := readProxyHeader([]byte(h + "WA\r\n")); n != len(h) || err != nil {
			t.Errorf("%s: got %d, %v; want %d", name, n, err, len(h))
		}
		for i := range len(h) {
			if _, _, err := readProxyHeader([]byte(h[:i])); err != errShort {
				t.Errorf("%s: %d bytes: got %v, want %v", name, i, err, errShort)
			}
		}
	}
}

func TestWhatIsNoPROXYHeaderIsRefused(t *testing.T) {
	t.Parallel()
	v2 := "\r\n\r\n\x00\r\nQUIT\n"
	for name, h := range map[string]string{
		"chat":                  "WA",
		"a line without end":    "PROXY TCP4 " + strings.Repeat("1", maxProxyLine),
		"a line without CR":     "PROXY UNKNOWN\n",
		"an unknown protocol":   "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
		"a bad address":         "PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
		"version 2 as 3":        v2 + "\x31\x11\x00\x00",
		"too short for IPv4":    v2 + "\x21\x11\x00\x01\x00",
		"longer than the limit": v2 + "\x21\x11\xff\xff",
	} {
		if _, n, err := readProxyHeader([]byte(h)); err != errProxyHeader {
			t.Errorf("%s: got %d, %v; want %v", name, n, err, errProxyHeader)
		}
	}
}

// memory is a connection between two addresses.
type memory struct {
	net.Conn
	from, to string
}

func (m memory) RemoteAddr() net.Addr { a, _ := net.ResolveTCPAddr("tcp", m.from); return a }
func (m memory) LocalAddr() net.Addr  { a, _ := net.ResolveTCPAddr("tcp", m.to); return a }

// What is written of a connection is what is read of it.
func TestAPROXYHeaderSaysFromWhereAndToWhere(t *testing.T) {
	t.Parallel()
	for version := 1; version <= 2; version++ {
		for _, m := range []memory{
			{nil, "192.0.2.7:1234", "198.51.100.1:443"}, {nil, "[2001:db8::7]:1234", "[2001:db8::1]:443"}, {nil, "[::ffff:192.0.2.7]:1234", "198.51.100.1:443"},
		} {
			h, n, err := readProxyHeader(append(HeaderFor(m, version), "WA"...))
			if err != nil || n != len(HeaderFor(m, version)) || h.SourceAddr.String() != m.RemoteAddr().String() || h.DestinationAddr.String() != m.LocalAddr().String() {
				t.Errorf("version %d of %v: got %v, %d, %v", version, m, h, n, err)
			}
			c := forwardedBy(h, new(net.TCPConn))
			if c.RemoteAddr().String() != m.RemoteAddr().String() || c.LocalAddr().String() != m.LocalAddr().String() {
				t.Errorf("version %d: got %s to %s, want %v", version, c.RemoteAddr(), c.LocalAddr(), m)
			}
		}
	}
	own := new(net.TCPConn)
	for _, text := range []string{"PROXY UNKNOWN\r\n", "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"} {
		if h, _, err := readProxyHeader([]byte(text)); err != nil || forwardedBy(h, own) != net.Conn(own) {
			t.Errorf("%q: got %v, want the balancer's own connection as it is", text, err)
		}
	}
}

// The length found is the length needed, and never beyond what is there.
func FuzzProxyHeader(f *testing.F) {
	for _, h := range proxyHeaders {
		f.Add([]byte(h))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, n, err := readProxyHeader(b)
		if err != nil {
			return
		}
		if n <= 0 || n > len(b) || n > maxProxyHeader {
			t.Fatalf("got %d of %d bytes", n, len(b))
		}
		if _, _, err := readProxyHeader(b[:n-1]); err != errShort {
			t.Errorf("one byte less: got %v, want %v", err, errShort)
		}
	})
}
