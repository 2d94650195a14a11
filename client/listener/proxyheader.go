package listener

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"

	proxyproto "github.com/pires/go-proxyproto"
)

// maxProxyHeader bounds a PROXY header of version 2; version 1 ends within 107
// bytes. HAProxy's, with every field it knows, stay below.
const maxProxyHeader = 2 << 10

const maxProxyLine = 107

var errProxyHeader = errors.New("not a PROXY header")

// proxyHeaderLen returns the length of the PROXY header, version 1 or 2, at the
// start of b. What the header says is checked and forgotten: nobody here needs
// an address of the app. The error is errShort or errProxyHeader.
//
// See https://www.haproxy.org/download/2.3/doc/proxy-protocol.txt.
func proxyHeaderLen(b []byte) (int, error) {
	n, err := proxyHeaderEnd(b)
	if err != nil {
		return 0, err
	}
	r := bufio.NewReaderSize(bytes.NewReader(b[:n]), n)
	if _, err := proxyproto.Read(r); err != nil || r.Buffered() > 0 {
		return 0, errProxyHeader
	}
	return n, nil
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
