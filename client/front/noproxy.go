package front

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// exemptions are the hosts that NO_PROXY has reached without a proxy, as most programs read it: names, which stand for
// all below them, too, addresses, networks, each perhaps with a port, or * for all. What is neither is nobody. It is
// read here, and not by golang.org/x/net/http/httpproxy, as that brings tables of all letters with it, a fiftieth of the
// client, for names that no front has: links hold names in ASCII.
type exemptions []exemption

// exemption is one of them.
type exemption struct {
	network netip.Prefix // that of an address or a network
	name    string       // in lower case; empty: any
	below   bool         // the name itself is none of it
	port    string       // empty: any
}

// readExemptions reads the value of NO_PROXY.
func readExemptions(text string) (all exemptions) {
	for _, one := range strings.Split(text, ",") {
		if one = strings.ToLower(strings.TrimSpace(one)); one != "" {
			all = append(all, readExemption(one))
		}
	}
	return all
}

func readExemption(text string) exemption {
	if text == "*" {
		return exemption{}
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		return exemption{network: network}
	}
	e := exemption{name: text}
	if host, port, err := net.SplitHostPort(text); err == nil {
		e.name, e.port = host, port
	}
	if ip, err := netip.ParseAddr(strings.Trim(e.name, "[]")); err == nil {
		e.network = netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen())
		return e
	}
	e.name, e.below = strings.CutPrefix(strings.TrimPrefix(e.name, "*"), ".")
	return e
}

// has reports whether host:port is reached without a proxy. This machine always is.
func (all exemptions) has(hostPort string) bool {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	host = strings.ToLower(host)
	ip, err := netip.ParseAddr(host)
	ip = ip.Unmap().WithZone("")
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return true
	}
	return slices.ContainsFunc(all, func(e exemption) bool {
		return (e.port == "" || e.port == port) && e.holds(host, ip)
	})
}

func (e exemption) holds(host string, ip netip.Addr) bool {
	switch {
	case e.network.IsValid():
		return ip.IsValid() && e.network.Contains(ip)
	case e.name == "":
		return !e.below
	}
	return strings.HasSuffix(host, "."+e.name) || !e.below && host == e.name
}
