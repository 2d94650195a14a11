package nearend

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"culvert/client/listener"
	"culvert/internal/link"
	"culvert/internal/term"
	"culvert/internal/wire"
)

// AppSettings are what goes into the app's proxy setting.
type AppSettings struct {
	Host        string // empty: there are only raw listeners
	Chat, Media uint16 // ports

	lan     bool
	sought  bool         // Host is one of this machine's addresses, which may change
	unnamed bool         // phones are let in, and we know no address for them
	others  []netip.Addr // at which phones may reach this machine, if Host is not it
	raw     []string
	more    []string // ports that serve as Chat and Media do
	web     string   // where browsers find their proxy; empty: nowhere
	script  string   // the path of what configures them
}

// settingsFor reads off the listeners what the app has to be told: the first
// that is not raw is for chat, the next, or the same, for media.
func settingsFor(o *Options, listeners []port, script string) (AppSettings, error) {
	a := AppSettings{lan: o.LAN, script: script}
	for _, l := range listeners {
		at, err := netip.ParseAddrPort(l.Addr().String())
		switch {
		case err != nil:
			return a, fmt.Errorf("listener's address: %w", err)
		case l.kind == forWeb:
			a.web = loopbackOf(at)
		case l.kind == forRaw:
			a.raw = append(a.raw, at.String())
		case l.kind == forMore:
			a.more = append(a.more, strconv.Itoa(int(at.Port())))
		case a.Chat == 0:
			a.Host, a.Chat, a.Media = at.Addr().Unmap().String(), at.Port(), at.Port()
		default:
			a.Media = at.Port()
		}
	}
	return a.reachable(o.Host)
}

// loopbackOf is at, where it means all addresses as this machine dials it.
func loopbackOf(at netip.AddrPort) string {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()).String()
	}
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()).String()
}

// scriptOf is a path that only a link's user knows, and that stays while the link does: it is
// entered into browsers.
func scriptOf(l *link.Link) string {
	mac := hmac.New(sha256.New, l.Keys.Private[:])
	io.WriteString(mac, "culvert proxy.pac")
	return fmt.Sprintf("/%x/proxy.pac", mac.Sum(nil)[:8])
}

// TellWeb tells a person what browsers and WhatsApp Desktop are to be told.
func (a AppSettings) TellWeb(out *term.Console) {
	if a.web == "" {
		return
	}
	out.Say("WhatsApp Web and Desktop: as SOCKS5 or HTTP proxy enter")
	out.Say("  %s", a.web)
	out.Say("or, so that all else goes its usual way, as automatic configuration (PAC)")
	out.Say("  http://%s%s", a.web, a.script)
}

// Web is host:port of the proxy for browsers, or empty.
func (a AppSettings) Web() string { return a.web }

// reachable replaces an address that means all addresses by one that a phone
// can dial, or by the one that the user named.
func (a AppSettings) reachable(named string) (AppSettings, error) {
	ip, err := netip.ParseAddr(a.Host)
	switch {
	case a.Host == "":
		return a, nil
	case named != "":
		a.Host = named
		_, err := a.link()
		return a, err
	case err != nil || !ip.IsUnspecified():
		return a, nil
	case !a.lan:
		a.Host = "127.0.0.1"
		return a, nil
	}
	a.sought = true
	return a.current(listener.LANAddresses), nil
}

// current looks again for the address that phones reach, unless it was named: a machine may start before its network
// does, and go from one to another.
func (a AppSettings) current(addresses func() ([]netip.Addr, error)) AppSettings {
	if !a.sought {
		return a
	}
	return a.onLAN(addresses())
}

// onLAN takes the first of the addresses that were found. Without one, this machine can use the
// ports all the same, and whoever knows the address can name it.
func (a AppSettings) onLAN(found []netip.Addr, err error) AppSettings {
	if a.unnamed = err != nil; a.unnamed {
		a.Host = "127.0.0.1"
		return a
	}
	a.Host, a.others = found[0].String(), found[1:]
	return a
}

// checkHost says whether the app can dial a host.
func checkHost(host string) error {
	ip, err := netip.ParseAddr(host)
	_, isName := wire.HostName(host)
	switch {
	case err == nil && ip.Is6(), strings.ContainsAny(host, "[]"):
		return errIPv6
	case err == nil && ip.IsUnspecified():
		return errNoHost
	case err != nil && (!isName || isNumber(host[strings.LastIndexByte(host, '.')+1:])):
		return errHost
	}
	return nil
}

// isNumber reports whether a name's last label is one: it would be taken for an IPv4 address.
func isNumber(label string) bool { return strings.Trim(label, "0123456789") == "" }

var (
	errIPv6   = errors.New("the app takes no IPv6 address: give a host name or an IPv4 address")
	errNoHost = errors.New("the app needs a host name or an IPv4 address of this machine")
	errHost   = errors.New("--host is a name of letters, digits, hyphens and dots, or an IPv4 address, without a port")
)

// link sets the app's proxy setting when it is opened on the phone. The app
// takes a missing chatTLS for true, so the link says that there is none: our
// listeners want the app's raw bytes. An IPv6 literal cannot work, as the app
// keeps host:port and splits it at the first colon.
func (a AppSettings) link() (string, error) {
	if a.Host == "" {
		return "", errNoHost
	}
	if err := checkHost(a.Host); err != nil {
		return "", err
	}
	if a.Chat == 0 || a.Media == 0 {
		return "", errors.New("the app needs a chat port and a media port")
	}
	return fmt.Sprintf("https://wa.me/proxy?host=%s&chatPort=%d&mediaPort=%d&chatTLS=false",
		url.QueryEscape(a.Host), a.Chat, a.Media), nil
}

// Print tells a person what to do, with a QR code that sets the app if wanted.
func (a AppSettings) Print(out *term.Console, code bool) error {
	a.tell(out)
	link, err := a.link()
	if err != nil || !code {
		return nil
	}
	out.Say("")
	return out.QR(link, "")
}

// tell tells a person what to do.
func (a AppSettings) tell(out *term.Console) {
	for _, r := range a.raw {
		out.Say("Raw chat on %s", r)
	}
	a.TellWeb(out)
	if len(a.more) > 0 {
		out.Say("Chat and media also come by: %s", strings.Join(a.more, out.Comma()))
	}
	if a.Host == "" {
		return
	}
	out.Say("In WhatsApp, under Settings, Storage and data, Proxy, enter")
	out.Hint("host %s, chat port %d, media port %d, TLS off", a.Host, a.Chat, a.Media)
	if link, err := a.link(); err == nil {
		out.Say("or open on the phone")
		out.Say("%s", link)
	}
	switch {
	case a.unnamed:
		out.Say("No address on a local network was found. Phones need this machine's: give it with --host.")
	case len(a.others) > 0:
		out.Say("If phones do not reach it there, have it name another of its addresses:")
		for _, o := range a.others {
			out.Say("  --host %s", o)
		}
	case !a.lan:
		out.Say("This machine alone can use it; --lan lets phones on the same network in.")
	}
}
