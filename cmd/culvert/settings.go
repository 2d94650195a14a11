package main

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"culvert/client"
)

// appSettings are what goes into the app's proxy setting.
type appSettings struct {
	host        string // empty: there are only raw listeners
	chat, media uint16
	raw         []string
}

// settingsFor reads off the listeners what the app has to be told: the first
// that sniffs is for chat, the next, or the same, for media.
func settingsFor(lan bool, listeners []nearListener) (appSettings, error) {
	var a appSettings
	for _, l := range listeners {
		at, err := netip.ParseAddrPort(l.Addr().String())
		switch {
		case err != nil:
			return a, fmt.Errorf("listener's address: %w", err)
		case l.raw:
			a.raw = append(a.raw, at.String())
		case a.chat == 0:
			a.host, a.chat, a.media = at.Addr().Unmap().String(), at.Port(), at.Port()
		default:
			a.media = at.Port()
		}
	}
	return a.reachable(lan)
}

// reachable replaces an address that means all addresses by one that a phone
// can dial.
func (a appSettings) reachable(lan bool) (appSettings, error) {
	ip, err := netip.ParseAddr(a.host)
	if err != nil || !ip.IsUnspecified() {
		return a, nil
	}
	if !lan {
		a.host = "127.0.0.1"
		return a, nil
	}
	found, err := client.LANAddress()
	if err != nil {
		return a, err
	}
	a.host = found.String()
	return a, nil
}

// text tells a person what to do.
func (a appSettings) text() string {
	var b strings.Builder
	for _, r := range a.raw {
		fmt.Fprintf(&b, "Raw chat on %s\n", r)
	}
	if a.host == "" {
		return b.String()
	}
	fmt.Fprintf(&b, "In WhatsApp: Settings, Storage and data, Proxy: host %s, chat port %d, media port %d, TLS off.\n", a.host, a.chat, a.media)
	if link, err := waLink(a.host, a.chat, a.media); err == nil {
		fmt.Fprintf(&b, "Or open on the phone: %s\n", link)
	}
	return b.String()
}

// address is where the app's connections for chat or media go.
func (a appSettings) address(port uint16) string { return net.JoinHostPort(a.host, fmt.Sprint(port)) }
