package listener

import (
	"errors"

	"golang.org/x/crypto/cryptobyte"

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

// TLS numbers, RFC 8446, sections 4, 4.2, 5.1 and RFC 6066, section 3.
const (
	recordHandshake  = 22
	maxRecord        = 1 << 14
	recordHeaderLen  = 5
	typeClientHello  = 1
	messageHeaderLen = 4
	extServerName    = 0
	nameTypeHost     = 0
)

// isHello says whether b may begin a ClientHello.
func isHello(b []byte) bool { return len(b) > 0 && b[0] == recordHandshake }

// parseHello returns the server name of the ClientHello at the start of b, in
// one record or many, or "" if it names none. Bytes may follow in further
// records (early data). The error is errShort while b may still become a
// ClientHello of at most maxHello bytes, else errHello.
func parseHello(b []byte) (sni string, err error) {
	message, err := helloMessage(b)
	if err != nil {
		return "", err
	}
	return helloName(message)
}

// helloMessage returns the body of the handshake message at the start of b,
// copied only if it lies in several records.
func helloMessage(b []byte) ([]byte, error) {
	records, length, err := helloExtent(b)
	if err != nil {
		return nil, err
	}
	if records == 1 {
		return b[recordHeaderLen+messageHeaderLen:][:length], nil
	}
	joined := make([]byte, 0, messageHeaderLen+length)
	for range records {
		n := recordLen(b)
		joined = append(joined, b[recordHeaderLen:recordHeaderLen+n]...)
		b = b[recordHeaderLen+n:]
	}
	return joined[messageHeaderLen:], nil
}

func recordLen(b []byte) int { return int(b[3])<<8 | int(b[4]) }

// helloExtent walks the records of b without copying: in how many the first
// message lies, and how long its body is. A ClientHello ends where a record
// ends (RFC 8446, section 5.1).
func helloExtent(b []byte) (records, length int, err error) {
	total, have := 0, 0
	var head [messageHeaderLen]byte
	for {
		if err := checkRecord(b); err != nil {
			return 0, 0, err
		}
		n := recordLen(b)
		b = b[recordHeaderLen:]
		got := min(n, len(b))
		if have < messageHeaderLen {
			copy(head[have:], b[:got])
		}
		have += got
		total += recordHeaderLen + n
		records++
		want, known, err := helloLen(head[:min(have, messageHeaderLen)])
		switch {
		case err != nil || total > maxHello || known && have > want:
			return 0, 0, errHello
		case got < n:
			return 0, 0, errShort
		case known && have == want:
			return records, want - messageHeaderLen, nil
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

// helloName reads a ClientHello's body: RFC 8446, section 4.1.2.
func helloName(body []byte) (string, error) {
	s := cryptobyte.String(body)
	var version uint16
	var session, suites, methods cryptobyte.String
	if !s.ReadUint16(&version) || version>>8 != 3 || !s.Skip(32) ||
		!s.ReadUint8LengthPrefixed(&session) || len(session) > 32 ||
		!s.ReadUint16LengthPrefixed(&suites) || len(suites) == 0 || len(suites)%2 != 0 ||
		!s.ReadUint8LengthPrefixed(&methods) || len(methods) == 0 {
		return "", errHello
	}
	if s.Empty() { // TLS 1.2 without extensions
		return "", nil
	}
	var extensions cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return "", errHello
	}
	return serverName(extensions)
}

func serverName(extensions cryptobyte.String) (name string, err error) {
	seen := make(map[uint16]struct{}, 24)
	for !extensions.Empty() {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			return "", errHello
		}
		if _, twice := seen[kind]; twice {
			return "", errHello
		}
		seen[kind] = struct{}{}
		if kind != extServerName {
			continue
		}
		if name, err = hostName(data); err != nil {
			return "", err
		}
	}
	return name, nil
}

// hostName reads the server_name extension: one entry, as every client sends
// and as crypto/tls demands of host names.
func hostName(data cryptobyte.String) (string, error) {
	var list, name cryptobyte.String
	var kind uint8
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() ||
		!list.ReadUint8(&kind) || kind != nameTypeHost ||
		!list.ReadUint16LengthPrefixed(&name) || !list.Empty() {
		return "", errHello
	}
	if !isHostName(name) {
		return "", errHello
	}
	return wire.CleanHost(string(name)), nil
}

// isHostName admits what a certificate may name: letters, digits, hyphens,
// underscores and dots, and no dot at the end (RFC 6066, section 3).
func isHostName(name []byte) bool {
	if len(name) == 0 || len(name) > 253 || name[0] == '.' || name[len(name)-1] == '.' {
		return false
	}
	for _, c := range name {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
