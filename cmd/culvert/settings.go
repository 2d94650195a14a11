package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"culvert/client/listener"
)

// appSettings are what goes into the app's proxy setting.
type appSettings struct {
	host        string // empty: there are only raw listeners
	chat, media uint16
	lan         bool
	unnamed     bool // phones are let in, and we know no address for them
	raw         []string
}

// settingsFor reads off the listeners what the app has to be told: the first
// that sniffs is for chat, the next, or the same, for media.
func settingsFor(o *nearOptions, listeners []nearListener) (appSettings, error) {
	a := appSettings{lan: o.lan}
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
	return a.reachable(o.host)
}

// reachable replaces an address that means all addresses by one that a phone
// can dial, or by the one that the user named.
func (a appSettings) reachable(named string) (appSettings, error) {
	ip, err := netip.ParseAddr(a.host)
	switch {
	case a.host == "":
		return a, nil
	case named != "":
		a.host = named
		_, err := a.link()
		return a, err
	case err != nil || !ip.IsUnspecified():
		return a, nil
	case !a.lan:
		a.host = "127.0.0.1"
		return a, nil
	}
	return a.onLAN(listener.LANAddress()), nil
}

// onLAN takes the address that was found. Without one, this machine can use the
// ports all the same, and who knows the address can name it.
func (a appSettings) onLAN(found netip.Addr, err error) appSettings {
	a.host, a.unnamed = "127.0.0.1", err != nil
	if err == nil {
		a.host = found.String()
	}
	return a
}

// link sets the app when it is opened on the phone.
func (a appSettings) link() (string, error) {
	if a.host == "" {
		return "", errors.New("there is no port for the app")
	}
	return waLink(a.host, a.chat, a.media)
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
	b.WriteString("In WhatsApp, under Settings, Storage and data, Proxy, enter\n")
	fmt.Fprintf(&b, "  host %s, chat port %d, media port %d, TLS off\n", a.host, a.chat, a.media)
	if link, err := a.link(); err == nil {
		fmt.Fprintf(&b, "or open on the phone\n%s\n", link)
	}
	switch {
	case a.unnamed:
		b.WriteString("No address on a local network was found. Phones need this machine's: give it\nwith --host.\n")
	case !a.lan:
		b.WriteString("This machine alone can use it; --lan lets phones on the same network in.\n")
	}
	return b.String()
}
