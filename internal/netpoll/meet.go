package netpoll

import (
	"net"
	"net/netip"
)

// Meet reports whether a listener at one address, host:port, keeps another from the other. Port 0, which is any, meets none;
// names that lead to one host are not looked up.
func Meet(a, b string) bool {
	hostA, nameA, _ := net.SplitHostPort(a)
	hostB, nameB, _ := net.SplitHostPort(b)
	portA, _ := net.LookupPort("tcp", nameA)
	portB, _ := net.LookupPort("tcp", nameB)
	return portA == portB && portA != 0 && (hostA == hostB || covers(hostA, hostB) || covers(hostB, hostA))
}

// Clash is the first two of all whose addresses meet; false: there are none.
func Clash[T any](all []T, at func(T) string) (_, _ T, is bool) {
	for i, b := range all {
		for _, a := range all[:i] {
			if Meet(at(a), at(b)) {
				return a, b, true
			}
		}
	}
	var none T
	return none, none, false
}

// covers reports whether all, as a host to listen at, means one, too: none and :: are all addresses, 0.0.0.0 is those of IPv4.
func covers(all, one string) bool {
	every, _ := netip.ParseAddr(all)
	some, _ := netip.ParseAddr(one)
	return all == "" || every.IsUnspecified() && (every.Is6() || !some.Is6())
}
