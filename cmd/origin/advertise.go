package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"culvert/internal/serve"
)

// advertised is CULVERT_ADVERTISE: an IP address and the ports that one is
// taken from, of which 0 is any free one. The zero value is none.
type advertised struct {
	ip          netip.Addr
	first, last uint16
}

var errAdvertised = errors.New("is not an IP address with a port or a range of ports behind it")

// UnmarshalText refuses what nobody could reach.
func (a *advertised) UnmarshalText(b []byte) error {
	host, ports, err := net.SplitHostPort(string(b))
	ip, bad := netip.ParseAddr(host)
	if err != nil || bad != nil || ip.Zone() != "" {
		return errAdvertised
	}
	if ip.IsUnspecified() || ip.IsMulticast() {
		return errors.New("is no address of one machine")
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	a.ip = ip.Unmap()
	if a.first, err = portOf(first); err == nil {
		a.last, err = portOf(last)
	}
	if err != nil || a.first > a.last || isRange && a.first == 0 {
		return errAdvertised
	}
	return nil
}

func portOf(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	return uint16(n), err
}

func (a advertised) isSet() bool { return a.ip.IsValid() }

// shares reports whether the port is that of the main listener.
func (a advertised) shares(listen serve.Address) bool {
	_, port, _ := net.SplitHostPort(string(listen)) // checked when it was read
	return a.first == a.last && port == strconv.Itoa(int(a.first)) && a.first != 0
}

// listen takes the first free port. It returns the address to advertise, and no
// listener if the main one serves it, too.
func (a advertised) listen(main serve.Address) (netip.AddrPort, net.Listener, error) {
	if !a.isSet() || a.shares(main) {
		return netip.AddrPortFrom(a.ip, a.first), nil, nil
	}
	var err error
	for port := int(a.first); port <= int(a.last); port++ {
		at := netip.AddrPortFrom(a.ip, uint16(port))
		var ln net.Listener
		if ln, err = net.Listen("tcp", at.String()); err == nil {
			return netip.AddrPortFrom(a.ip, uint16(ln.Addr().(*net.TCPAddr).Port)), ln, nil
		}
	}
	return netip.AddrPort{}, nil, fmt.Errorf("CULVERT_ADVERTISE: is it an address of this machine, and is a port free? %w", err)
}
