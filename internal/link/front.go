package link

import (
	"errors"
	"fmt"

	"culvert/internal/wire"
)

// Limits of one front.
const (
	MaxDial = 8   // addresses to dial
	MaxPins = 4   // pins
	MaxPath = 255 // bytes of the path
)

const (
	defaultPort = 443
	defaultPath = wire.DoorPath
)

// Front is how an edge is reached; every field may differ from the others.
// What is left empty follows from Host: ask Addrs, ServerName and VerifyName.
type Front struct {
	Host    string   // the HTTP Host header: host or host:port; the port is 443 unless given
	Path    string   // what to ask for, with a query if any: starts with "/"
	Dial    []string // host:port each, in the order in which to try them; empty means Host's
	SNI     string   // the name in the ClientHello; empty means Host's, or none if NoSNI or if Host is an IP address
	NoSNI   bool     // send no name in the ClientHello
	Verify  string   // the name or IP address that the certificate must be valid for; empty means SNI's, else Host's
	Pins    []Pin    // if any, one must match a certificate of the chain, which then need not lead to a public CA
	Gateway bool     // it leads to the gateway door, which takes text, and not to the stream door
}

// URL is what to hand to a WebSocket dialer: wss, Host and Path.
func (f Front) URL() string { return "wss://" + f.Host + f.Path }

// Addrs are the host:port addresses to dial, in the order in which to try
// them. Must not be changed.
func (f Front) Addrs() []string {
	if len(f.Dial) > 0 {
		return f.Dial
	}
	return []string{f.at().String()}
}

// ServerName is the name to send in the ClientHello, or "" for none: an IP
// address is never sent (RFC 6066, section 3).
func (f Front) ServerName() string {
	if host := f.at().host; f.SNI == "" && !f.NoSNI && !isIP(host) {
		return host
	}
	return f.SNI
}

// VerifyName is the name or IP address that the certificate must be valid for.
func (f Front) VerifyName() string {
	if f.Verify != "" {
		return f.Verify
	}
	if name := f.ServerName(); name != "" {
		return name
	}
	return f.at().host
}

// at is Host and its port.
func (f Front) at() address {
	at, err := parseAddress(f.Host, defaultPort)
	if err != nil {
		return address{f.Host, defaultPort}
	}
	return at
}

// clean is the one form of f, in which nothing is said that follows from Host,
// or what is wrong with f. It shares nothing with f that is changed.
func (f Front) clean() (Front, error) {
	at, err := parseAddress(f.Host, defaultPort)
	if err != nil {
		return f, fmt.Errorf("host: %w", err)
	}
	f.Host = at.short(defaultPort)
	if f.Path, err = cleanPath(f.Path); err != nil {
		return f, fmt.Errorf("path: %w", err)
	}
	if f.Dial, err = cleanDial(f.Dial, at); err != nil {
		return f, fmt.Errorf("dial: %w", err)
	}
	if err = f.cleanSNI(at.host); err != nil {
		return f, fmt.Errorf("sni: %w", err)
	}
	if err = f.cleanVerify(); err != nil {
		return f, fmt.Errorf("verify: %w", err)
	}
	if f.Pins, err = cleanPins(f.Pins); err != nil {
		return f, fmt.Errorf("pin: %w", err)
	}
	return f, nil
}

// cleanDial is nil if Host says the same.
func cleanDial(dial []string, at address) ([]string, error) {
	if len(dial) > MaxDial {
		return nil, fmt.Errorf("a front has at most %d addresses to dial", MaxDial)
	}
	var clean []string
	seen := make(map[string]bool)
	for _, s := range dial {
		a, err := parseAddress(s, at.port)
		if err != nil {
			return nil, err
		}
		if seen[a.String()] {
			return nil, errors.New("the same address twice: leave one out")
		}
		seen[a.String()] = true
		clean = append(clean, a.String())
	}
	if len(clean) == 1 && clean[0] == at.String() {
		return nil, nil
	}
	return clean, nil
}

// addresses reads clean ones.
func addresses(dial []string, port uint16) (list []address) {
	for _, s := range dial {
		if a, err := parseAddress(s, port); err == nil {
			list = append(list, a)
		}
	}
	return list
}

func (f *Front) cleanSNI(host string) error {
	if f.NoSNI = f.NoSNI && !(isIP(host) && f.SNI == ""); f.NoSNI && f.SNI != "" {
		return errors.New("either a name or none")
	}
	if f.SNI == "" {
		return nil
	}
	name, err := cleanName(f.SNI)
	if name == noName || isIP(f.SNI) {
		return errors.New("give a host name: an IP address cannot be sent; sni=none sends nothing")
	}
	if f.SNI = name; name == host {
		f.SNI = ""
	}
	return err
}

func (f *Front) cleanVerify() error {
	if f.Verify == "" {
		return nil
	}
	name, err := cleanHost(f.Verify)
	if err != nil {
		return err
	}
	f.Verify = ""
	if name != f.VerifyName() {
		f.Verify = name
	}
	return nil
}

func cleanPins(pins []Pin) ([]Pin, error) {
	if len(pins) == 0 {
		return nil, nil
	}
	if len(pins) > MaxPins {
		return nil, fmt.Errorf("a front has at most %d pins", MaxPins)
	}
	seen := make(map[Pin]bool)
	for _, p := range pins {
		if seen[p] {
			return nil, errors.New("the same pin twice: leave one out")
		}
		seen[p] = true
	}
	return pins, nil
}
