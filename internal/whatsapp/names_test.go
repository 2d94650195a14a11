package whatsapp

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAllowedNamesAndPorts(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"g.whatsapp.net", "g-fallback.whatsapp.net", "whatsapp.net", "mmg.whatsapp.net", "media-fra5-1.cdn.whatsapp.net",
		"WhatsApp.NET.", "web.whatsapp.com", "whatsapp.com", "wa.me", "WA.ME.", "a.b.c.d.fna.whatsapp.net",
	} {
		for _, port := range []int{443, 5222, 80} {
			if !isAllowed(host, port) {
				t.Errorf("isAllowed(%q, %d): got false, want true", host, port)
			}
		}
	}
}

func TestHostileNamesAndPortsAreNotAllowed(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", ".", "..", "com", "net", "me", "whatsapp", "xwhatsapp.net", "whatsapp.net.evil.com", "whatsapp.net.evil", "evil.com",
		"whatsapp.net..", ".whatsapp.net", "a..whatsapp.net", "-a.whatsapp.net", "a-.whatsapp.net", "a_b.whatsapp.net",
		"evil.com\x00.whatsapp.net", "g.whatsapp.net\x00", "g.whatsapp.net\n", " g.whatsapp.net", "g.whatsapp.net ", "g.whatsapp.net\r\nHost: x",
		"evil.com/.whatsapp.net", "evil.com#.whatsapp.net", "evil.com?.whatsapp.net", "user@g.whatsapp.net", "g.whatsapp.net:443", "*.whatsapp.net",
		"whats\u0430pp.net", "\u212A.whatsapp.net", "whatsapp\u3002net", "g\uff0ewhatsapp\uff0enet", "ẃhatsapp.net", "xn--whatspp-8fg.net", "g.what\u017Fapp.net",
		"127.0.0.1", "31.13.66.1", "[::1]", "::1", "2a03:2880::1", "0x7f000001", "2130706433", "localhost", "169.254.169.254",
		"evilwa.me", "x.wa.me", "wa.me.evil.com", "wa.me..",
		strings.Repeat("a", 64) + ".whatsapp.net", strings.Repeat("a.", 130) + "whatsapp.net",
	} {
		if isAllowed(host, 443) {
			t.Errorf("isAllowed(%q, 443): got true, want false", host)
		}
	}
	for _, port := range []int{-1, 0, 22, 25, 53, 79, 81, 442, 444, 5221, 5223, 8080, 65979, 1<<16 + 443} {
		if isAllowed("g.whatsapp.net", port) {
			t.Errorf("Allowed on port %d: got true, want false", port)
		}
	}
}

func TestMediaHosts(t *testing.T) {
	t.Parallel()
	for sni, want := range map[string]bool{
		"whatsapp.net": true, "mmg.whatsapp.net": true, "MMG.WhatsApp.Net.": true, "media-fra5-1.cdn.whatsapp.net": true,
		"": false, "web.whatsapp.com": false, "wa.me": false, "xwhatsapp.net": false, "whatsapp.net.evil.com": false,
		"mmg.whatsapp.net\x00": false, "example.org": false, "1.2.3.4": false,
	} {
		if got := IsMediaHost(sni); got != want {
			t.Errorf("IsMediaHost(%q): got %t, want %t", sni, got, want)
		}
	}
}

func TestOnlyPublicAddressesPass(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"31.13.66.1", "157.240.1.1", "3.33.221.48", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1",
		"2a03:2880:f2ff::60", "2620:0:1c00::1", "2606:4700::1", "::ffff:31.13.66.1", "64:ff9b::31.13.66.1",
	} {
		if !isPublic(netip.MustParseAddr(s)) {
			t.Errorf("isPublic(%s): got false, want true", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254", "168.63.129.16",
		"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::31.13.66.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1",
		"64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1",
		"2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:1f0d:4201::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fd12::1",
		"fe80::1", "fe80::1%eth0", "2a03:2880::1%eth0", "fec0::1", "ff02::1", "ff0e::1", "4000::1",
	} {
		if isPublic(netip.MustParseAddr(s)) {
			t.Errorf("isPublic(%s): got true, want false", s)
		}
	}
	if isPublic(netip.Addr{}) {
		t.Error("Public of no address: got true, want false")
	}
}

// What is allowed is a plain name below WhatsApp's, whatever the bytes were.
func FuzzAllowed(f *testing.F) {
	f.Add("g.whatsapp.net")
	f.Add("whatsapp.net.evil.com\x00")
	f.Fuzz(func(t *testing.T, host string) {
		if !isAllowed(host, 443) {
			return
		}
		name := strings.TrimSuffix(strings.ToLower(host), ".")
		if name != "wa.me" && !strings.HasSuffix("."+name, ".whatsapp.net") && !strings.HasSuffix("."+name, ".whatsapp.com") {
			t.Errorf("got %q allowed, want it refused", host)
		}
		if strings.ContainsAny(host, "\x00 /:@#?*%[]") {
			t.Errorf("got %q allowed, want odd bytes refused", host)
		}
	})
}
