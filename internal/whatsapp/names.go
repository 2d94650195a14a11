// Package whatsapp is what Culvert knows of WhatsApp: its names and ports, how
// to dial it without becoming an open proxy, and how to prove that the far end of a
// stream is a genuine server.
package whatsapp

import (
	"errors"
	"strings"

	"culvert/internal/wire"
)

// IsMediaHost reports whether sni is a name that the app's media connections
// carry: whatsapp.net or below it. A ClientHello with it is media and passes
// through untouched; with any other name, or none, it is chat inside TLS.
func IsMediaHost(sni string) bool {
	host, ok := wire.HostName(sni)
	return ok && within(host, "whatsapp.net")
}

// IsAllowed reports whether an origin may dial host on port: whatsapp.net,
// whatsapp.com and what is below them, and wa.me, on 443, 5222 and 80. Case
// and a trailing dot do not matter. Addresses are never allowed.
func IsAllowed(host string, port int) bool {
	name, ok := wire.HostName(host)
	return ok && allowedPort(port) &&
		(within(name, "whatsapp.net") || within(name, "whatsapp.com") || name == "wa.me")
}

func allowedPort(port int) bool { return port == 443 || port == 5222 || port == 80 }

func within(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// ErrNotPublic means a name led to an address that is not on the public
// internet. Refuse the stream: someone points WhatsApp's name, or a
// replacement, at a private network. Upstream.AllowPrivate lifts the rule.
var ErrNotPublic = errors.New("address is not public")
