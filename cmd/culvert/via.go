package main

import (
	"os"

	"culvert/client/front"
	"culvert/internal/term"
)

// viaSource is by which proxy a command reaches fronts.
type viaSource struct {
	flags *term.Flags
	url   string
}

// viaFlag adds --via to f.
func viaFlag(f *term.Flags) *viaSource {
	s := &viaSource{flags: f}
	f.StringVar(&s.url, "via", "", "`URL` of a proxy to reach the fronts by, http://HOST:PORT or socks5://HOST:PORT, or none (default: as HTTPS_PROXY, ALL_PROXY and NO_PROXY say)")
	return s
}

// dialer reaches fronts as --via says, or else the environment. No error quotes either:
// there may be a password in them.
func (s *viaSource) dialer() (*front.Dialer, error) {
	if s.url != "" {
		p, err := front.ParseProxy(s.url)
		if err != nil {
			return nil, s.flags.Wrong("--via: %v", err)
		}
		return &front.Dialer{Proxy: p}, nil
	}
	p, err := front.ProxyFrom(os.Getenv)
	if err != nil {
		return nil, s.flags.Wrong("HTTPS_PROXY or ALL_PROXY: %v; --via none uses no proxy", err)
	}
	return &front.Dialer{Proxy: p}, nil
}
