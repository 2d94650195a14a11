package front

import (
	"cmp"
	"errors"
	"net"
	"net/url"
	"strings"
)

// Proxy chooses by which proxy a host is reached, if by any. Its zero value chooses
// none. Several goroutines may use one. It holds passwords: do not print it.
type Proxy struct {
	by     *url.URL   // nil: there is none
	always bool       // hosts of this machine are reached by it, too
	exempt exemptions // the hosts that are reached without it, unless always
}

// ErrProxy means that a text is not the URL of a proxy. Its text quotes nothing, as
// there may be a password in what it is about.
var ErrProxy = errors.New("a proxy is http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT, " +
	"with NAME:PASSWORD@ before the host if it asks for them")

// NoProxy is what ParseProxy takes for none at all.
const NoProxy = "none"

// ParseProxy reads the URL of a proxy by which all hosts are reached, or NoProxy. A
// scheme that is left out is http. The error is ErrProxy.
func ParseProxy(text string) (*Proxy, error) {
	if text == NoProxy {
		return &Proxy{}, nil
	}
	u, err := parseProxyURL(text)
	if err != nil {
		return nil, err
	}
	return &Proxy{by: u, always: true}, nil
}

// ProxyFrom reads what the environment says as most programs do: HTTPS_PROXY, or else
// ALL_PROXY, is the URL of a proxy by which all hosts are reached but those of NO_PROXY
// and this machine. Each may be in lower case. get is os.Getenv, as a rule. The error
// is ErrProxy.
func ProxyFrom(get func(string) string) (*Proxy, error) {
	either := func(name string) string { return cmp.Or(get(name), get(strings.ToLower(name))) }
	text := cmp.Or(either("HTTPS_PROXY"), either("ALL_PROXY"))
	if text == "" {
		return &Proxy{}, nil
	}
	u, err := parseProxyURL(text)
	if err != nil {
		return nil, err
	}
	return &Proxy{by: u, exempt: readExemptions(either("NO_PROXY"))}, nil
}

// defaultPorts are those of proxies by their schemes.
var defaultPorts = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

// parseProxyURL reads the URL of a proxy, whose port is always there then.
func parseProxyURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, ErrProxy
	}
	port, known := defaultPorts[u.Scheme]
	if _, err := net.LookupPort("tcp", u.Port()); !known || err != nil {
		return nil, ErrProxy
	}
	u.Host = net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port))
	return u, nil
}

// to is the proxy by which host:port is reached; nil: there is none.
func (p *Proxy) to(hostPort string) *url.URL {
	if p == nil || !p.always && p.exempt.has(hostPort) {
		return nil
	}
	return p.by
}
