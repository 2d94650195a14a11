package listener

import (
	"bytes"
	"slices"

	"culvert/internal/wire"
)

// verdict is what a connection's first bytes say it is.
type verdict byte

const (
	undecided verdict = iota // read more
	rawChat                  // the Noise stream of WhatsApp's chat
	mediaTLS                 // TLS to a host of WhatsApp's: it ends at WhatsApp
	chatTLS                  // TLS to us: chat is inside
	webPage                  // a browser that shall see the help page
	foreign                  // nothing that we serve: close without an answer
)

// methods of HTTP begin what browsers, curl and health checks send.
var methods = [][]byte{
	[]byte("GET "), []byte("POST "), []byte("HEAD "), []byte("PUT "), []byte("OPTIONS "),
	[]byte("CONNECT "), []byte("DELETE "), []byte("PATCH "), []byte("TRACE "), []byte("PRI "),
}

// openings of WhatsApp's chat: the prologue of its Noise handshake, and the
// edge routing that may come before it.
var openings = [][]byte{[]byte("WA"), []byte("ED")}

// sniff decides what a connection is by its first bytes; sni is the name that
// a mediaTLS asks for. isMedia tells WhatsApp's names from others.
func sniff(b []byte, isMedia func(sni string) bool) (v verdict, sni string) {
	if !isHello(b) {
		return sniffPlain(b), ""
	}
	sni, err := parseHello(b)
	switch {
	case err == errShort:
		return undecided, ""
	case err != nil:
		return foreign, ""
	case sni != "" && isMedia(sni):
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
