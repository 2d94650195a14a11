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

// covers reports whether all, as a host to listen at, means one, too: none and :: are all addresses, 0.0.0.0 is those of IPv4.
func covers(all, one string) bool {
	every, _ := netip.ParseAddr(all)
	some, _ := netip.ParseAddr(one)
	return all == "" || every.IsUnspecified() && (every.Is6() || !some.Is6())
}
