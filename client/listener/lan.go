package listener

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"culvert/internal/dial"
)

// ErrNoLAN means that no address of this machine looks like one that a phone
// on the same network can reach. Ask the user for it.
var ErrNoLAN = errors.New("no address on a local network found; name this machine's IPv4 address yourself")

// LANAddresses are the IPv4 addresses at which phones on the same network may reach this
// machine, as its interfaces and routes tell, the likeliest first; nothing is sent. Never IPv6:
// the app splits what is typed at colons. Any error is ErrNoLAN, which newer Android
// also causes by hiding its interfaces.
func LANAddresses() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, ErrNoLAN
	}
	out := dial.LeadingOut()
	var all []lanCandidate
	for _, i := range interfaces {
		for _, addr := range addressesOf(i) {
			all = append(all, lanCandidate{i.Name, i.Flags, addr, addr == out, isMachines(i)})
		}
	}
	return sortLAN(all)
}

func addressesOf(i net.Interface) (found []netip.Addr) {
	addrs, _ := i.Addrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			addr, _ := netip.AddrFromSlice(n.IP)
			found = append(found, addr.Unmap())
		}
	}
	return found
}

// lanCandidate is an address of one of this machine's interfaces.
type lanCandidate struct {
	name     string
	flags    net.Flags
	addr     netip.Addr
	out      bool // the default route leads by it
	machines bool // it leads to virtual machines, as its hardware address or the system says
}

// sortLAN leaves out what phones cannot use, and puts the highest rank first; what is virtual is
// named only where there is nothing else.
func sortLAN(all []lanCandidate) (found []netip.Addr, err error) {
	slices.SortStableFunc(all, func(a, b lanCandidate) int { return b.rank() - a.rank() })
	for _, c := range all {
		if r := c.rank(); r > rankVirtual || r == rankVirtual && len(found) == 0 {
			found = append(found, c.addr)
		}
	}
	if len(found) == 0 {
		return nil, ErrNoLAN
	}
	return found, nil
}

var homeNetwork = netip.MustParsePrefix("192.168.0.0/16")

// Names of interfaces that lead to no phone, as they begin: those of containers and virtual
// machines, unless the default route leads by them, and those of VPNs, modems and direct links.
var (
	machineNames = []string{"docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "vEthernet", "VMware", "VirtualBox",
		"bridge1", "vmenet", "vnet", "cni", "flannel", "lxc", "lxd", "incus", "podman", "waydroid", "anbox"}
	tunnelNames = []string{"tailscale", "zt", "wg", "tun", "tap", "utun", "ppp", "ipsec", "nordlynx", "proton",
		"rmnet", "pdp_ip", "wwan", "awdl", "llw"}
)

// machineHardware begins the hardware addresses that VMware, VirtualBox and Hyper-V give to the
// adapters by which a host reaches its virtual machines.
var machineHardware = []string{"00:50:56:c0:", "0a:00:27:", "00:15:5d:"}

// isMachines reports whether an interface's hardware is a virtual machine's network.
func isMachines(i net.Interface) bool {
	address := i.HardwareAddr.String()
	return slices.ContainsFunc(machineHardware, func(prefix string) bool { return strings.HasPrefix(address, prefix) })
}

// Ranks of addresses, the best last. A private one is better than a public one, which is mostly
// behind a firewall.
const (
	rankNone = iota
	rankVirtual
	rankPublic
	rankPrivate
	rankHome
	rankOut
)

func (c lanCandidate) rank() int {
	switch {
	case c.flags&net.FlagUp == 0, c.flags&(net.FlagLoopback|net.FlagPointToPoint) != 0,
		!c.addr.Is4(), !c.addr.IsGlobalUnicast():
		return rankNone
	case c.isNamed(tunnelNames), !c.out && (c.machines || c.isNamed(machineNames)):
		return rankVirtual
	case !c.addr.IsPrivate():
		return rankPublic
	case c.out:
		return rankOut
	case homeNetwork.Contains(c.addr):
		return rankHome
	}
	return rankPrivate
}

func (c lanCandidate) isNamed(prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(c.name, prefix) })
}
