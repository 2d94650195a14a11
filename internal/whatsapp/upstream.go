package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"culvert/internal/wire"
)

// ErrNotAllowed means the service or its host is not WhatsApp's. Refuse the
// stream; another attempt fails too.
var ErrNotAllowed = errors.New("host is not allowed")

// ErrUnreachable means no address of the service took a connection in time.
// Another attempt may succeed.
var ErrUnreachable = errors.New("WhatsApp is unreachable")

// errReplacement means Upstream's Chat, Media or Web is not of the form host:port.
var errReplacement = errors.New("not host:port")

// Upstream dials WhatsApp: what an origin may reach, and how. The zero value
// reaches WhatsApp. Its methods may be called at once; fields must not change
// after the first call, and it must not be copied.
type Upstream struct {
	// Chat, Media and Web replace WhatsApp for the whole of a service, as
	// host:port, for tests and private networks. Empty: WhatsApp. The hosts that
	// clients ask for must be WhatsApp's all the same.
	Chat, Media, Web string

	// AllowPrivate permits addresses that Public refuses. Leave it off unless a
	// replacement is on a private network.
	AllowPrivate bool

	// LookupIP finds a host's addresses; network is ip4 or ip6. nil: the system's
	// resolver.
	LookupIP func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// DialAddr connects to an address, always an IP and a port; network is tcp.
	// It must return soon after ctx ends. nil: net.Dialer, which checks the
	// address once more as it connects.
	DialAddr func(ctx context.Context, network, addr string) (net.Conn, error)

	good memory
}

// Check says what is wrong with the replacements, if anything: for main, at start.
func (u *Upstream) Check() error {
	for _, r := range []struct{ name, addr string }{{"chat", u.Chat}, {"media", u.Media}, {"web", u.Web}} {
		if r.addr == "" {
			continue
		}
		if _, err := parseEndpoint(r.addr); err != nil {
			return fmt.Errorf("%s upstream: %w", r.name, err)
		}
	}
	return nil
}

// Dial connects to service s. It takes at most 10 seconds and leaves neither
// goroutine nor connection behind other than the one it returns. The error is
// ErrNotAllowed, ErrNotPublic, ErrUnreachable or ctx's; none names a host or
// an address.
func (u *Upstream) Dial(ctx context.Context, s wire.Service) (net.Conn, error) {
	groups, err := u.plan(s)
	if err != nil {
		return nil, err
	}
	if addr, ok := only(groups); ok {
		return u.dialOnly(ctx, addr)
	}
	key := s.Kind.String() + " " + s.Host
	if last, ok := u.good.get(key); ok {
		groups = append([]group{{ends: []endpoint{last}, keep: true}}, groups...)
		groups[1].after = stagger
	}
	conn, won, err := u.race(ctx, groups)
	switch {
	case err != nil:
		u.good.drop(key)
		return nil, err
	case won.keep:
		u.good.put(key, won.addr)
	}
	return conn, nil
}

// only is the address of groups if they have one and nothing to look up: a
// race of one needs no goroutines.
func only(groups []group) (netip.AddrPort, bool) {
	if len(groups) != 1 || len(groups[0].ends) != 1 {
		return netip.AddrPort{}, false
	}
	e := groups[0].ends[0]
	addr, err := netip.ParseAddr(e.host)
	return netip.AddrPortFrom(addr.Unmap(), e.port), err == nil
}

func (u *Upstream) dialOnly(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if !u.AllowPrivate && !Public(addr.Addr()) {
		return nil, ErrNotPublic
	}
	attempt, cancel := context.WithTimeout(ctx, attemptWait)
	defer cancel()
	conn, err := u.dial(attempt, addr)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	f := failure{failedDial, err, nil}
	return nil, f.err()
}

// endpoint is a host name or an address, and a port.
type endpoint struct {
	host string
	port uint16
}

func parseEndpoint(hostPort string) (endpoint, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil || host == "" {
		return endpoint{}, errReplacement
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return endpoint{}, errReplacement
	}
	return endpoint{host, uint16(n)}, nil
}

// chatEndpoints is where chat is served, raw on every port, in the order of
// trying: Meta's own chart treats all of them alike. 80 comes last, as networks
// meddle with it.
var chatEndpoints = []endpoint{
	{"g.whatsapp.net", 5222}, {"g.whatsapp.net", 443},
	{"g-fallback.whatsapp.net", 5222}, {"g-fallback.whatsapp.net", 443},
	{"g.whatsapp.net", 80}, {"g-fallback.whatsapp.net", 80},
}

// mediaEndpoint serves every media name by SNI; the official proxy knows no other.
var mediaEndpoint = endpoint{"whatsapp.net", 443}

// plan is what to try for s: at least one group.
func (u *Upstream) plan(s wire.Service) ([]group, error) {
	switch s.Kind {
	case wire.Chat:
		return replaced(u.Chat, group{ends: chatEndpoints, keep: true})
	case wire.Media:
		if s.Host == "" {
			return replaced(u.Media, group{ends: []endpoint{mediaEndpoint}, keep: true})
		}
		if !Allowed(s.Host, 443) {
			return nil, ErrNotAllowed
		}
		asked := group{ends: []endpoint{{s.Host, 443}}, keep: true}
		return replaced(u.Media, asked, group{ends: []endpoint{mediaEndpoint}, after: fallback})
	case wire.Web:
		if !Allowed(s.Host, 443) {
			return nil, ErrNotAllowed
		}
		return replaced(u.Web, group{ends: []endpoint{{s.Host, 443}}, keep: true})
	}
	return nil, ErrNotAllowed
}

// replaced is groups, or the replacement alone if there is one.
func replaced(replacement string, groups ...group) ([]group, error) {
	if replacement == "" {
		return groups, nil
	}
	e, err := parseEndpoint(replacement)
	if err != nil {
		return nil, fmt.Errorf("%w: replacement: %w", ErrUnreachable, err)
	}
	return []group{{ends: []endpoint{e}, keep: true}}, nil
}
