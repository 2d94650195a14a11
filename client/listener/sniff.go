package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"slices"

	proxyproto "github.com/pires/go-proxyproto"

	"culvert/internal/whatsapp"
	"culvert/internal/wire"
)

// verdict is what a connection's first bytes say it is.
type verdict byte

const (
	undecided verdict = iota // read more
	rawChat                  // the Noise stream of WhatsApp's chat
	mediaTLS                 // TLS to a host of WhatsApp's: it ends at WhatsApp
	chatTLS                  // TLS to us: chat is inside
	webPage                  // a browser that shall see the page
	foreign                  // nothing that we serve: close without an answer
)

// methods of HTTP begin what browsers send that shall see the page.
var methods = [][]byte{[]byte("GET "), []byte("HEAD ")}

// openings of WhatsApp's chat: the prologue of its Noise handshake, and the
// edge routing that may come before it.
var openings = [][]byte{[]byte("WA"), []byte("ED")}

// sniff decides what a connection is by its first bytes; sni is the name that
// a mediaTLS asks for.
func sniff(b []byte) (v verdict, sni string) {
	if !isHello(b) {
		return sniffPlain(b), ""
	}
	sni, err := parseHello(b)
	switch {
	case err == errShort:
		return undecided, ""
	case err != nil:
		return foreign, ""
	case whatsapp.IsMediaHost(sni):
		return mediaTLS, sni
	}
	return chatTLS, ""
}

// sniffPlain is sniff for bytes that are not TLS, or no longer.
func sniffPlain(b []byte) verdict {
	switch {
	case beginsWithOne(b, openings):
		return rawChat
	case beginsWithOne(b, methods):
		return webPage
	case mayBegin(b, openings), mayBegin(b, methods):
		return undecided
	}
	return foreign
}

func beginsWithOne(b []byte, words [][]byte) bool {
	return slices.ContainsFunc(words, func(w []byte) bool { return bytes.HasPrefix(b, w) })
}

func mayBegin(b []byte, words [][]byte) bool {
	return slices.ContainsFunc(words, func(w []byte) bool { return bytes.HasPrefix(w, b) })
}

// service is what a tunnel for a connection with this verdict leads to.
func (v verdict) service(sni string) wire.Service {
	if v == mediaTLS {
		return wire.Service{Kind: wire.Media, Host: sni}
	}
	return wire.Service{Kind: wire.Chat}
}

// maxProxyHeader bounds a PROXY header of version 2; version 1 ends within 107
// bytes. HAProxy's, with every field it knows, stay below.
const maxProxyHeader = 2 << 10

const maxProxyLine = 107

var errProxyHeader = errors.New("not a PROXY header")

// readProxyHeader returns the PROXY header, version 1 or 2, at the start of b, and its length. The error is errShort or
// errProxyHeader.
//
// See https://www.haproxy.org/download/2.3/doc/proxy-protocol.txt.
func readProxyHeader(b []byte) (*proxyproto.Header, int, error) {
	n, err := proxyHeaderEnd(b)
	if err != nil {
		return nil, 0, err
	}
	r := bufio.NewReaderSize(bytes.NewReader(b[:n]), n)
	h, err := proxyproto.Read(r)
	if err != nil || r.Buffered() > 0 {
		return nil, 0, errProxyHeader
	}
	return h, n, nil
}

// forwarded is a connection that a load balancer has passed on, with the addresses that it had there.
type forwarded struct {
	*net.TCPConn
	from, to net.Addr
}

// TCP is the connection itself, for who copies by the system.
func (f forwarded) TCP() *net.TCPConn { return f.TCPConn }

func (f forwarded) RemoteAddr() net.Addr { return f.from }
func (f forwarded) LocalAddr() net.Addr  { return f.to }

// forwardedBy is conn as the header says that it came; a balancer's own, by which it looks whether we are there, is as it is.
func forwardedBy(h *proxyproto.Header, conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	from, to, known := h.TCPAddrs()
	if !ok || !known || h.Command.IsLocal() {
		return conn
	}
	return forwarded{tcp, from, to}
}

// HeaderFor is the PROXY header, of version 1 or 2, that says of conn from where and to where it came.
func HeaderFor(conn net.Conn, version int) []byte {
	b, err := proxyproto.HeaderProxyFromAddrs(byte(version), conn.RemoteAddr(), conn.LocalAddr()).Format()
	if err != nil {
		return []byte("PROXY UNKNOWN\r\n") // as it is no TCP
	}
	return b
}

func proxyHeaderEnd(b []byte) (int, error) {
	switch {
	case begins(b, proxyproto.SIGV2):
		return binaryHeaderEnd(b)
	case begins(b, proxyproto.SIGV1):
		return lineHeaderEnd(b)
	}
	return 0, errProxyHeader
}

// begins says whether b begins with word, or is the beginning of it.
func begins(b, word []byte) bool {
	n := min(len(b), len(word))
	return bytes.Equal(b[:n], word[:n])
}

func binaryHeaderEnd(b []byte) (int, error) {
	if len(b) < 16 {
		return 0, errShort
	}
	n := 16 + int(binary.BigEndian.Uint16(b[14:]))
	if n > maxProxyHeader {
		return 0, errProxyHeader
	}
	if len(b) < n {
		return 0, errShort
	}
	return n, nil
}

func lineHeaderEnd(b []byte) (int, error) {
	line := b[:min(len(b), maxProxyLine)]
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		return i + 1, nil
	}
	if len(line) == maxProxyLine {
		return 0, errProxyHeader
	}
	return 0, errShort
}
