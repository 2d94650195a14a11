package listener

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// ErrNoLAN means that no address of this machine looks like one that a phone
// on the same network can reach. Ask the user for it.
var ErrNoLAN = errors.New("no address on a local network found; name this machine's IPv4 address yourself")

// LANAddress is the IPv4 address at which phones on the same network reach
// this machine, as its interfaces tell; nothing is sent. Never IPv6: the app
// splits what is typed at colons. Any error is ErrNoLAN, which newer Android
// also causes by hiding its interfaces.
func LANAddress() (netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return netip.Addr{}, ErrNoLAN
	}
	var all []lanCandidate
	for _, i := range interfaces {
		all = append(all, candidatesOf(i)...)
	}
	return bestLAN(all)
}

// lanCandidate is an address of one of this machine's interfaces.
type lanCandidate struct {
	name  string
	flags net.Flags
	addr  netip.Addr
}

func candidatesOf(i net.Interface) []lanCandidate {
	addrs, err := i.Addrs()
	if err != nil {
		return nil
	}
	var found []lanCandidate
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			found = append(found, lanCandidate{i.Name, i.Flags, addr.Unmap()})
		}
	}
	return found
}

// bestLAN returns the candidate of the highest rank, the first among equals.
func bestLAN(all []lanCandidate) (netip.Addr, error) {
	best, rank := netip.Addr{}, 0
	for _, c := range all {
		if r := c.rank(); r > rank {
			best, rank = c.addr, r
		}
	}
	if rank == 0 {
		return netip.Addr{}, ErrNoLAN
	}
	return best, nil
}

var homeNetwork = netip.MustParsePrefix("192.168.0.0/16")

// virtual are the names of interfaces that lead to containers, virtual
// machines and VPNs, where no phone is.
var virtual = []string{"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "vEthernet", "cni", "flannel",
	"lxc", "podman", "tailscale", "zt", "wg", "tun", "tap", "utun", "ppp", "rmnet", "pdp_ip"}

// rank is 0 for an address that phones cannot use. A private one is better
// than a public one, which is mostly behind a firewall.
func (c lanCandidate) rank() int {
	switch {
	case c.flags&net.FlagUp == 0, c.flags&(net.FlagLoopback|net.FlagPointToPoint) != 0,
		!c.addr.Is4(), !c.addr.IsGlobalUnicast():
		return 0
	case c.isVirtual():
		return 1
	case !c.addr.IsPrivate():
		return 2
	case !homeNetwork.Contains(c.addr):
		return 3
	}
	return 4
}

func (c lanCandidate) isVirtual() bool {
	return slices.ContainsFunc(virtual, func(prefix string) bool { return strings.HasPrefix(c.name, prefix) })
}
