package client

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// lookEvery is how often it is looked whether the network has changed, at most. To ask the system takes longer than
// to dial.
const lookEvery = time.Second

// whereabouts is the network in which the machine is, which all Clients of a process share.
type whereabouts struct {
	mu     sync.Mutex // guards the following
	name   string
	looked time.Time
}

var machine whereabouts

// network is networkName, as it was lookEvery ago at most.
func (w *whereabouts) network() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.looked) >= lookEvery || w.looked.After(now) {
		w.name, w.looked = networkName(), now
	}
	return w.name
}

// networkName tells the network in which the machine is from others: by the interface that leads
// out, its gateway where the system says it, and the prefix of the own address there. No packet is
// sent. It is empty where nothing leads out. IPv4 is preferred: an IPv6 prefix changes more often,
// so that of it only what names the provider counts. An address that has no network around it, as
// a modem's, does not count.
func networkName() string {
	for _, way := range []struct{ network, anywhere string }{
		{"udp4", "192.0.2.1:9"}, {"udp6", "[2001:db8::1]:9"}, // RFC 5737 and RFC 3849: nobody has these
	} {
		conn, err := net.Dial(way.network, way.anywhere) // finds a route, and no more
		if err != nil {
			continue
		}
		at, err := netip.ParseAddrPort(conn.LocalAddr().String())
		conn.Close()
		if err == nil {
			return describe(at.Addr().Unmap())
		}
	}
	return ""
}

// Prefixes that count: a provider's of IPv6; and of IPv4 where the system does not say, and at most.
const (
	provider6 = 32
	usual4    = 24
	narrow4   = 29
)

func describe(own netip.Addr) string {
	name, bits := interfaceOf(own)
	switch {
	case own.Is6():
		bits = provider6
	case bits < 0:
		bits = usual4
	case bits > narrow4:
		return name
	}
	prefix, err := own.WithZone("").Prefix(bits)
	if err != nil {
		return name
	}
	if own.Is4() {
		name += " " + gatewayOf(name)
	}
	return name + " " + prefix.String()
}

// interfaceOf is the interface that has an address, with the length of its prefix; -1: some systems
// do not say.
func interfaceOf(own netip.Addr) (name string, bits int) {
	all, _ := net.Interfaces()
	for _, i := range all {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == own.WithZone("") {
				return i.Name, p.Bits()
			}
		}
	}
	return "", -1
}

// gatewayOf is the default gateway by an interface, as Linux writes it; other systems, and some of
// those, have no such file.
func gatewayOf(name string) string {
	text, _ := os.ReadFile("/proc/net/route")
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > 7 && f[0] == name && f[1] == "00000000" && f[7] == "00000000" {
			if b, err := hex.DecodeString(f[2]); err == nil && len(b) == 4 {
				return netip.AddrFrom4([4]byte(b)).String()
			}
		}
	}
	return ""
}
