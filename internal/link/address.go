package link

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"culvert/internal/wire"
)

// address is a host, in the one spelling of hosts, and a port.
type address struct {
	host string // a name in lower case, or an IP address without brackets
	port uint16
}

// String is host:port.
func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(int(a.port))) }

// short leaves the port away if it is port.
func (a address) short(port uint16) string {
	if a.port != port {
		return a.String()
	}
	if strings.Contains(a.host, ":") {
		return "[" + a.host + "]"
	}
	return a.host
}

var (
	errPort = errors.New("a port is a number from 1 to 65535")
	errHost = errors.New("a host is a name (letters, digits, hyphens and dots; other scripts as xn--) or an IP address")
	errIPv6 = errors.New("write an IPv6 address in brackets: [2001:db8::1]:443")
)

// parseAddress reads host, host:port, [IPv6] or [IPv6]:port.
func parseAddress(s string, port uint16) (address, error) {
	host, portText, hasPort, err := splitAddress(s)
	if err != nil {
		return address{}, err
	}
	if host, err = cleanHost(host); err == nil && hasPort {
		port, err = parsePort(portText)
	}
	return address{host, port}, err
}

func splitAddress(s string) (host, port string, hasPort bool, err error) {
	inner, bracket := strings.CutPrefix(s, "[")
	if !bracket {
		if strings.Count(s, ":") > 1 {
			return "", "", false, errIPv6
		}
		host, port, hasPort = strings.Cut(s, ":")
		return host, port, hasPort, nil
	}
	host, rest, closed := strings.Cut(inner, "]")
	port, hasPort = strings.CutPrefix(rest, ":")
	if !closed || !strings.Contains(host, ":") || rest != "" && !hasPort {
		return "", "", false, errHost
	}
	return host, port, hasPort, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 || s != strconv.FormatUint(n, 10) {
		return 0, errPort
	}
	return uint16(n), nil
}

// cleanHost is the one spelling of a host: a name in lower case without its
// last dot, or an IP address without brackets and zone.
func cleanHost(s string) (string, error) {
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return "", errors.New("an IP address in a link has no zone")
		}
		return ip.Unmap().String(), nil
	}
	return cleanName(s)
}

// cleanName is the one spelling of a host name. A name whose last label is a
// number, which may be hexadecimal, would be taken for an IP address by some.
func cleanName(s string) (string, error) {
	name, ok := wire.HostName(s)
	if !ok || isNumber(name[strings.LastIndexByte(name, '.')+1:]) {
		return "", errHost
	}
	return name, nil
}

// isNumber reports whether URL parsers take a label in lower case for a number (URL Standard, "ends in a number").
func isNumber(label string) bool {
	digits, isHex := strings.CutPrefix(label, "0x")
	return strings.Trim(label, "0123456789") == "" || isHex && strings.Trim(digits, "0123456789abcdef") == ""
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// cleanPath checks a path, and the query that may follow it (RFC 3986,
// section 3.3 and 3.4). A semicolon would end it in a front's spelling.
func cleanPath(s string) (string, error) {
	if s == "" {
		return defaultPath, nil
	}
	if s[0] != '/' || len(s) > maxPath || strings.Trim(s, pathBytes) != "" {
		return "", errPath
	}
	if _, err := url.PathUnescape(s); err != nil {
		return "", errPath
	}
	return s, nil
}

const pathBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@/?%"

var errPath = errors.New("a path starts with / and has at most 255 letters, digits and -._~!$&'()*+,=:@/?; " +
	"write others as %XX, a semicolon as %3B")
