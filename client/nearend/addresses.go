package nearend

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"

	"culvert/client/listener"
	"culvert/internal/netpoll"
)

// Check says what is wrong with the options, and by which flag.
func (o *Options) Check() error {
	for _, a := range o.addresses() {
		if a.at == "" && a.flag != "--also" { // all addresses and any port: nobody means that
			continue
		}
		if err := listener.Check(a.at); err != nil {
			return fmt.Errorf("%s: %w", a.flag, err)
		}
	}
	if o.Guests < 0 {
		return fmt.Errorf("--max-guests %d: no number of connections: give one of 1 or more, or leave it out for 1024", o.Guests)
	}
	if o.Host != "" {
		if err := checkHost(o.Host); err != nil {
			return err
		}
	}
	return cmp.Or(o.checkApart(), o.checkLAN())
}

// flagAddress is an address to listen at, and the flag that names it.
type flagAddress struct{ flag, at string }

func (o *Options) addresses() []flagAddress {
	all := []flagAddress{{"--chat", o.Chat}, {"--media", o.Media}, {"--web", o.Web}, {"--raw-chat", o.Raw}}
	for _, also := range o.Also {
		all = append(all, flagAddress{"--also", also})
	}
	return all
}

// Below is the flag with an address whose port, which may be a service's name, is below first, and not 0, which is any;
// empty: there is none.
func (o *Options) Below(first int) string {
	for _, a := range o.addresses() {
		_, name, err := net.SplitHostPort(a.at)
		if err != nil {
			continue // none is given
		}
		if port, err := net.LookupPort("tcp", name); err == nil && port > 0 && port < first {
			return a.flag
		}
	}
	return ""
}

// forApp is where the app's connections are taken, unless there is a raw listener alone.
func (o *Options) forApp() (chat, media string) {
	return cmp.Or(o.Chat, listener.Address(o.LAN, listener.DefaultChatPort)), cmp.Or(o.Media, listener.Address(o.LAN, listener.DefaultMediaPort))
}

// listening is all addresses, those that no flag names among them.
func (o *Options) listening() (all []flagAddress) {
	chat, media := o.forApp()
	if o.Raw != "" && o.Chat == "" && o.Media == "" {
		chat, media = "", ""
	}
	if chat == media {
		media = "" // one listener is both
	}
	filled := *o
	filled.Chat, filled.Media = chat, media
	for _, a := range filled.addresses() {
		if a.at != "" && !anyPort(a.at) {
			all = append(all, a)
		}
	}
	return all
}

// checkApart refuses two addresses of which one would take the other's port.
func (o *Options) checkApart() error {
	a, b, is := netpoll.Clash(o.listening(), func(f flagAddress) string { return f.at })
	if !is {
		return nil
	}
	_, port, _ := net.SplitHostPort(b.at)
	return fmt.Errorf("%s and %s name the same port, %s: give one of them another", a.flag, b.flag, port)
}

// checkLAN refuses an address at which no phone is let in, where phones are to be, unless they come by another host.
func (o *Options) checkLAN() error {
	if !o.LAN || o.Host != "" {
		return nil
	}
	for _, a := range []flagAddress{{"--chat", o.Chat}, {"--media", o.Media}} {
		host, port, _ := net.SplitHostPort(a.at)
		if addr, _ := netip.ParseAddr(host); host == "localhost" || addr.IsLoopback() {
			return fmt.Errorf("--lan lets phones in, but %s is an address of this machine alone: leave the host out, as in %s", a.flag+" "+a.at, a.flag+" :"+port)
		}
	}
	return nil
}

// anyPort says whether the system chooses the port: each time another.
func anyPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && (port == "0" || port == "")
}
