package listener

import (
	"net"
	"net/netip"
	"testing"
)

func TestLANAddressPrefersWhatPhonesCanReach(t *testing.T) {
	t.Parallel()
	const up = net.FlagUp
	at := func(name string, flags net.Flags, addr string) lanCandidate {
		return lanCandidate{name, flags, netip.MustParseAddr(addr)}
	}
	home := at("wlan0", up, "192.168.1.5")
	for _, c := range []struct {
		name string
		all  []lanCandidate
		want string
	}{
		{"a home network before containers", []lanCandidate{at("docker0", up, "172.17.0.1"), home}, "192.168.1.5"},
		{"a home network before an office's", []lanCandidate{at("eth0", up, "10.0.0.7"), home}, "192.168.1.5"},
		{"the first of two", []lanCandidate{home, at("eth0", up, "192.168.2.9")}, "192.168.1.5"},
		{"a private address before a public one", []lanCandidate{at("eth0", up, "203.0.113.4"), at("eth1", up, "10.1.2.3")}, "10.1.2.3"},
		{"a public one before a VPN", []lanCandidate{at("tailscale0", up, "100.64.0.1"), at("eth0", up, "203.0.113.4")}, "203.0.113.4"},
		{"a virtual one rather than none", []lanCandidate{at("docker0", up, "172.17.0.1")}, "172.17.0.1"},
		{"no IPv6", []lanCandidate{at("eth0", up, "fd00::1")}, ""},
		{"nothing that is down", []lanCandidate{at("eth0", 0, "192.168.1.5")}, ""},
		{"no tunnel", []lanCandidate{at("tun0", up|net.FlagPointToPoint, "10.8.0.2")}, ""},
		{"no loopback", []lanCandidate{at("lo", up|net.FlagLoopback, "127.0.0.1")}, ""},
		{"no address that the machine gave itself", []lanCandidate{at("eth0", up, "169.254.3.4")}, ""},
	} {
		got, err := bestLAN(c.all)
		if c.want == "" {
			if err != ErrNoLAN {
				t.Errorf("%s: got %v, %v; want %v", c.name, got, err, ErrNoLAN)
			}
		} else if got.String() != c.want || err != nil {
			t.Errorf("%s: got %v, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestLANAddressIsNeverIPv6(t *testing.T) {
	t.Parallel()
	if got, err := LANAddress(); err == nil && !got.Is4() {
		t.Errorf("got %v, want IPv4", got)
	}
}
