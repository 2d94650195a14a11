package dial

import (
	"net/netip"
	"slices"
)

// notPublic4 is what IANA's IPv4 special-purpose registry (RFC 6890 and its
// updates) calls not globally reachable, multicast, the deprecated 6to4 relay,
// and 168.63.129.16, where Azure's machines reach their platform. The other
// clouds' metadata addresses are inside 169.254/16, 100.64/10 and 192.0.0/24.
var notPublic4 = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32",
	"169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
)

// notPublic6 is what the IPv6 registry takes out of 2000::/3, the only block
// assigned as global unicast: Teredo, benchmarking and other protocol uses
// (2001::/23), documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
var notPublic6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")

var (
	global6 = netip.MustParsePrefix("2000::/3")
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052; the IPv4 address is its last four bytes
)

// IsPublic reports whether a is a unicast address of the public internet. An IPv4
// address in IPv6 clothes (mapped, or behind NAT64) is judged as itself.
func IsPublic(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is4() {
		return !inAny(notPublic4, a)
	}
	return global6.Contains(a) && !inAny(notPublic6, a)
}

func inAny(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

func prefixes(ss ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(ss))
	for i, s := range ss {
		ps[i] = netip.MustParsePrefix(s)
	}
	return ps
}
