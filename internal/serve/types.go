package serve

import (
	"errors"
	"net"
	"net/url"
	"strconv"
)

// Address is a host:port to listen on or to dial. The host may be empty (all
// interfaces), the port 0 (any free one).
type Address string

// UnmarshalText refuses what is no host:port.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = ""
		return nil
	}
	_, port, err := net.SplitHostPort(string(b))
	if err != nil {
		return errors.New("is not host:port (an IPv6 address goes in brackets)")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return errors.New("has no port between 0 and 65535")
	}
	*a = Address(b)
	return nil
}

// Host is the part before the port.
func (a Address) Host() string {
	host, _, _ := net.SplitHostPort(string(a)) // checked above
	return host
}

// Off is the AdminAddress that means: no admin listener.
const Off AdminAddress = "off"

// AdminAddress is an Address, or Off.
type AdminAddress string

// UnmarshalText refuses what is neither host:port nor off.
func (a *AdminAddress) UnmarshalText(b []byte) error {
	if string(b) == string(Off) || len(b) == 0 {
		*a = Off
		return nil
	}
	var address Address
	if err := address.UnmarshalText(b); err != nil {
		return errors.New(err.Error() + `, nor "off"`)
	}
	*a = AdminAddress(address)
	return nil
}

// IsLoopback reports whether only this machine can reach a.
func (a AdminAddress) IsLoopback() bool {
	host := Address(a).Host()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// URL is that of a server: http or https, a host, and perhaps a path.
type URL struct{ url.URL }

// UnmarshalText refuses all other URLs. It does not repeat what it got, which
// may hold a password.
func (u *URL) UnmarshalText(b []byte) error {
	parsed, err := url.Parse(string(b))
	switch {
	case err != nil || parsed.Scheme != "http" && parsed.Scheme != "https":
		return errors.New("is not an http:// or https:// URL")
	case parsed.Hostname() == "":
		return errors.New("names no host")
	case parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
		return errors.New("has more than a host, a port and a path")
	}
	u.URL = *parsed
	return nil
}
