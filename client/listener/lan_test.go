package listener

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestLANAddressPrefersWhatPhonesCanReach(t *testing.T) {
	t.Parallel()
	const up = net.FlagUp
	at := func(name string, flags net.Flags, addr string) lanCandidate {
		return lanCandidate{name: name, flags: flags, addr: netip.MustParseAddr(addr)}
	}
	out := func(c lanCandidate) lanCandidate { c.out = true; return c }
	machines := func(c lanCandidate) lanCandidate { c.machines = true; return c }
	home := at("wlan0", up, "192.168.1.5")
	for _, c := range []struct {
		name string
		all  []lanCandidate
		want string
	}{
		{"a home network before containers", []lanCandidate{at("docker0", up, "172.17.0.1"), home}, "192.168.1.5"},
		{"a home network before an office's", []lanCandidate{at("eth0", up, "10.0.0.7"), home}, "192.168.1.5 10.0.0.7"},
		{"the first of two", []lanCandidate{home, at("eth0", up, "192.168.2.9")}, "192.168.1.5 192.168.2.9"},
		{"Wi-Fi before Android in a container", []lanCandidate{at("waydroid0", up, "192.168.240.1"), out(at("wlan0", up, "10.0.0.7"))}, "10.0.0.7"},
		{"Wi-Fi before virtual machines", []lanCandidate{machines(at("Ethernet 4", up, "192.168.56.1")), at("VMware Network Adapter VMnet8", up, "192.168.80.1"), out(at("Wi-Fi", up, "172.20.1.9"))}, "172.20.1.9"},
		{"Wi-Fi before a Mac's virtual machines", []lanCandidate{at("bridge100", up, "192.168.64.1"), out(at("en0", up, "10.0.0.7"))}, "10.0.0.7"},
		{"the default route first, and others named", []lanCandidate{home, out(at("eth0", up, "10.0.0.7"))}, "10.0.0.7 192.168.1.5"},
		{"a bridge that leads out", []lanCandidate{out(at("br-lan", up, "192.168.1.1"))}, "192.168.1.1"},
		{"Wi-Fi while a VPN takes the default route", []lanCandidate{out(at("wg0", up, "10.8.0.2")), home}, "192.168.1.5"},
		{"a virtual machine's own adapter", []lanCandidate{out(machines(at("eth0", up, "192.168.1.9")))}, "192.168.1.9"},
		{"a private address before a public one", []lanCandidate{at("eth0", up, "203.0.113.4"), at("eth1", up, "10.1.2.3")}, "10.1.2.3 203.0.113.4"},
		{"a public one before a VPN", []lanCandidate{at("tailscale0", up, "100.64.0.1"), at("eth0", up, "203.0.113.4")}, "203.0.113.4"},
		{"a virtual one rather than none", []lanCandidate{at("docker0", up, "172.17.0.1")}, "172.17.0.1"},
		{"no IPv6", []lanCandidate{at("eth0", up, "fd00::1")}, ""},
		{"nothing that is down", []lanCandidate{at("eth0", 0, "192.168.1.5")}, ""},
		{"no tunnel", []lanCandidate{at("tun0", up|net.FlagPointToPoint, "10.8.0.2")}, ""},
		{"no loopback", []lanCandidate{at("lo", up|net.FlagLoopback, "127.0.0.1")}, ""},
		{"no address that the machine gave itself", []lanCandidate{at("eth0", up, "169.254.3.4")}, ""},
	} {
		found, err := sortLAN(c.all)
		var got []string
		for _, a := range found {
			got = append(got, a.String())
		}
		if c.want == "" {
			if err != ErrNoLAN {
				t.Errorf("%s: got %v, %v; want %v", c.name, got, err, ErrNoLAN)
			}
		} else if strings.Join(got, " ") != c.want || err != nil {
			t.Errorf("%s: got %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestLANAddressesAreNeverIPv6(t *testing.T) {
	t.Parallel()
	found, _ := LANAddresses()
	for _, a := range found {
		if !a.Is4() {
			t.Errorf("got %v, want IPv4", a)
		}
	}
}
