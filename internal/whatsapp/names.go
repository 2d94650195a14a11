// Package whatsapp is what Culvert knows of WhatsApp: its names and ports, how
// to dial it without becoming an open proxy, and how to prove that the far end of a
// stream is a genuine server.
package whatsapp

import "strings"

// IsMediaHost reports whether sni is a name that the app's media connections
// carry: whatsapp.net or below it. A ClientHello with it is media and passes
// through untouched; with any other name, or none, it is chat inside TLS.
func IsMediaHost(sni string) bool {
	host, ok := cleanName(sni)
	return ok && within(host, "whatsapp.net")
}

// Allowed reports whether an origin may dial host on port: whatsapp.net,
// whatsapp.com and what is below them, and wa.me, on 443, 5222 and 80. Case
// and a trailing dot do not matter. Addresses are never allowed.
func Allowed(host string, port int) bool {
	name, ok := cleanName(host)
	return ok && allowedPort(port) &&
		(within(name, "whatsapp.net") || within(name, "whatsapp.com") || name == "wa.me")
}

func allowedPort(port int) bool { return port == 443 || port == 5222 || port == 80 }

func within(name, zone string) bool {
	return name == zone || strings.HasSuffix(name, "."+zone)
}

// cleanName is host in lower case without a trailing dot, if it is a host name
// of RFC 1123 in plain ASCII. Bytes are checked before the case is folded:
// Unicode has letters that fold to ASCII ones.
func cleanName(host string) (string, bool) {
	host = strings.TrimSuffix(host, ".")
	if len(host) == 0 || len(host) > 253 {
		return "", false
	}
	for label := range strings.SplitSeq(host, ".") {
		if !validLabel(label) {
			return "", false
		}
	}
	return strings.ToLower(host), true
}

func validLabel(l string) bool {
	if len(l) == 0 || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
		return false
	}
	for i := range len(l) {
		c := l[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= l[i] && l[i] <= '9' || l[i] == '-') {
			return false
		}
	}
	return true
}
