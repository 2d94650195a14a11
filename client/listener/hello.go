package listener

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"

	"culvert/internal/wire"
)

// maxHello bounds a ClientHello with its record headers: what a connection
// sends first has to fit into an Open frame. Browsers with post-quantum key
// shares need about 2 KiB.
const maxHello = wire.MaxEarly

var (
	errShort = errors.New("more bytes needed")
	errHello = errors.New("not a ClientHello")
)

// Numbers of TLS: RFC 8446, sections 4 and 5.1.
const (
	recordHandshake  = 22
	maxRecord        = 1 << 14
	recordHeaderLen  = 5
	typeClientHello  = 1
	messageHeaderLen = 4
)

// isHello says whether b may begin a ClientHello.
func isHello(b []byte) bool { return len(b) > 0 && b[0] == recordHandshake }

// parseHello returns the server name of the ClientHello at the start of b, in
// one record or many, or "" if it names none. Bytes may follow in further
// records (early data). The error is errShort while b may still become a
// ClientHello of at most maxHello bytes, else errHello.
//
// crypto/tls parses the hello, as whoever ends the TLS does. That takes 25 µs and
// 9 KB of garbage, so the records are measured first: a hello is parsed once, when
// it is whole.
func parseHello(b []byte) (sni string, err error) {
	n, err := helloExtent(b)
	if err != nil {
		return "", err
	}
	hello := &helloConn{rest: bytes.NewReader(b[:n])}
	tls.Server(hello, helloTLS).Handshake()
	sni = hello.info.ServerName
	if !hello.parsed || len(hello.info.CipherSuites) == 0 || sni != "" && !isHostName(sni) {
		return "", errHello
	}
	return wire.CleanHost(sni), nil
}

// helloConn is a connection that says a ClientHello, and then nothing. What it
// is told is lost.
type helloConn struct {
	net.Conn // nil: crypto/tls calls what is below, and nothing else
	rest     *bytes.Reader
	info     tls.ClientHelloInfo
	parsed   bool
}

// helloTLS keeps what crypto/tls has parsed, and ends the handshake.
var helloTLS = &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
	c := info.Conn.(*helloConn)
	c.info, c.parsed = *info, true
	return nil, errHello
}}

func (c *helloConn) Read(b []byte) (int, error)  { return c.rest.Read(b) }
func (c *helloConn) Write(b []byte) (int, error) { return len(b), nil }

func recordLen(b []byte) int { return int(b[3])<<8 | int(b[4]) }

// helloExtent walks the records of b without copying, and returns how many bytes
// of them the first message takes. A ClientHello ends where a record ends
// (RFC 8446, section 5.1).
func helloExtent(b []byte) (total int, err error) {
	have := 0
	var head [messageHeaderLen]byte
	for {
		if err := checkRecord(b); err != nil {
			return 0, err
		}
		n := recordLen(b)
		b = b[recordHeaderLen:]
		got := min(n, len(b))
		if have < messageHeaderLen {
			copy(head[have:], b[:got])
		}
		have += got
		total += recordHeaderLen + n
		want, known, err := helloLen(head[:min(have, messageHeaderLen)])
		switch {
		case err != nil || total > maxHello || known && have > want:
			return 0, errHello
		case got < n:
			return 0, errShort
		case known && have == want:
			return total, nil
		}
		b = b[n:]
	}
}

// checkRecord checks as much of a record's header as b holds.
func checkRecord(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != recordHandshake,
		len(b) > 1 && b[1] != 3,
		len(b) > 2 && b[2] > 4,
		len(b) >= recordHeaderLen && (recordLen(b) == 0 || recordLen(b) > maxRecord):
		return errHello
	case len(b) < recordHeaderLen:
		return errShort
	}
	return nil
}

// helloLen reads the length of a whole message from its header, as far as the
// header is there.
func helloLen(head []byte) (n int, known bool, err error) {
	if len(head) > 0 && head[0] != typeClientHello {
		return 0, false, errHello
	}
	if len(head) < messageHeaderLen {
		return 0, false, nil
	}
	n = messageHeaderLen + (int(head[1])<<16 | int(head[2])<<8 | int(head[3]))
	if n > maxHello {
		return 0, false, errHello
	}
	return n, true, nil
}

// isHostName admits what a certificate may name: letters, digits, hyphens,
// underscores and dots, and no dot at the end (RFC 6066, section 3).
func isHostName(name string) bool {
	if len(name) == 0 || len(name) > 253 || name[0] == '.' || name[len(name)-1] == '.' {
		return false
	}
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
