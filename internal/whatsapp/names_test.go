package whatsapp

import (
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
			if !IsAllowed(host, port) {
				t.Errorf("IsAllowed(%q, %d): got false, want true", host, port)
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
		if IsAllowed(host, 443) {
			t.Errorf("IsAllowed(%q, 443): got true, want false", host)
		}
	}
	for _, port := range []int{-1, 0, 22, 25, 53, 79, 81, 442, 444, 5221, 5223, 8080, 65979, 1<<16 + 443} {
		if IsAllowed("g.whatsapp.net", port) {
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

// What is allowed is a plain name below WhatsApp's, whatever the bytes were.
func FuzzAllowed(f *testing.F) {
	f.Add("g.whatsapp.net")
	f.Add("whatsapp.net.evil.com\x00")
	f.Fuzz(func(t *testing.T, host string) {
		if !IsAllowed(host, 443) {
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
