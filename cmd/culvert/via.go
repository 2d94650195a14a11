package main

import (
	"os"
	"slices"
	"strings"

	"culvert/client/front"
	"culvert/client/look"
	"culvert/internal/link"
	"culvert/internal/term"
)

// dialerSource is how a command reaches fronts: by which proxy, and whom it asks for names.
type dialerSource struct {
	flags     *term.Flags
	via       string
	look      string
	resolvers []string
}

// dialerFlags adds --via, --resolver and --look to f.
func dialerFlags(f *term.Flags) *dialerSource {
	s := &dialerSource{flags: f}
	f.StringVar(&s.via, "via", "", "`URL` of a proxy to reach the fronts by, http://HOST:PORT or socks5://HOST:PORT, or none (default: as HTTPS_PROXY, ALL_PROXY and NO_PROXY say)")
	f.Texts(&s.resolvers, "resolver", "`URL` of a resolver, https://HOST/dns-query, to ask for a front's name when the system's answer fails or is a lie, or none; may be repeated (default: the link's, then Cloudflare's, Google's and Quad9's)")
	f.StringVar(&s.look, "look", front.AutoLook, "`BROWSER` that connections look like: "+strings.Join(look.Names(), ", ")+", or auto, which keeps to one while it is let through")
	return s
}

// dialer reaches the fronts of l as the flags say, or else the environment and l. No error
// quotes what is about proxies: there may be a password in it.
func (s *dialerSource) dialer(l *link.Link) (*front.Dialer, error) {
	p, err := s.proxy()
	if err != nil {
		return nil, err
	}
	looks, err := front.ParseLook(s.look)
	if err != nil {
		return nil, s.flags.Wrong("--look: %v", err)
	}
	resolvers, err := s.toAsk(l)
	return &front.Dialer{Proxy: p, Resolvers: resolvers, Look: looks}, err
}

func (s *dialerSource) proxy() (*front.Proxy, error) {
	if s.via != "" {
		p, err := front.ParseProxy(s.via)
		if err != nil {
			return nil, s.flags.Wrong("--via: %v", err)
		}
		return p, nil
	}
	p, err := front.ProxyFrom(os.Getenv)
	if err != nil {
		return nil, s.flags.Wrong("HTTPS_PROXY or ALL_PROXY: %v; --via none uses no proxy", err)
	}
	return p, nil
}

// noResolver is what --resolver takes for none at all.
const noResolver = "none"

// toAsk is whom to ask for the names of l's fronts.
func (s *dialerSource) toAsk(l *link.Link) ([]link.Resolver, error) {
	switch {
	case len(s.resolvers) == 0:
		return front.Resolvers(l), nil
	case slices.Equal(s.resolvers, []string{noResolver}):
		return nil, nil
	}
	return readResolvers(s.flags, s.resolvers)
}

// readResolvers reads the values of --resolver.
func readResolvers(f *term.Flags, texts []string) (all []link.Resolver, err error) {
	for i, s := range texts {
		r, err := link.ParseResolver(s)
		if err != nil {
			return nil, f.Wrong("--resolver, number %d of %d: %v", i+1, len(texts), err)
		}
		all = append(all, r)
	}
	return all, nil
}
