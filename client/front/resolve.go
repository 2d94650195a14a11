package front

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"culvert/client/look"
	"culvert/internal/dial"
	"culvert/internal/doh"
	"culvert/internal/ech"
	"culvert/internal/link"
)

// Deadlines of asking resolvers.
const (
	askAfter    = 2 * time.Second // the system's resolver has given no address for so long
	askNext     = 2 * time.Second // head start of a resolver before the next is asked, too
	askEach     = 6 * time.Second // for one resolver
	askTogether = 12 * time.Second
)

// Resolvers are those to ask for the fronts of l: its own, then well-known ones, each by an
// address and without a name in the clear.
func Resolvers(l *link.Link) []link.Resolver {
	all := slices.Clone(l.Resolvers)
	for _, s := range []string{
		"https://cloudflare-dns.com/dns-query;dial=1.1.1.1;dial=1.0.0.1;dial=[2606:4700:4700::1111];sni=none",
		"https://dns.google/dns-query;dial=8.8.8.8;dial=8.8.4.4;dial=[2001:4860:4860::8888];sni=none",
		"https://dns.quad9.net/dns-query;dial=9.9.9.9;dial=149.112.112.112;dial=[2620:fe::fe];sni=none",
	} {
		if r, err := link.ParseResolver(s); err == nil { // as a test makes sure
			all = append(all, r)
		}
	}
	return all
}

// asker asks resolvers for the names of a front.
type asker struct {
	by        *Dialer // reaches the resolvers
	resolvers []link.Resolver
	memory    *frontMemory
	local     bool // an address of the front's own is not public, so that others need not be

	hide    string        // the name whose HTTPS record may have a configuration of ECH; empty: none
	begun   atomic.Bool   // somebody asks for that, or has asked
	learned chan struct{} // closed when that has ended
}

// reserve is the group that asks d's resolvers for the names of ends, which are f's, if there are any.
func (d *Dialer) reserve(f link.Front, ends []dial.Endpoint, after time.Duration) []dial.Group {
	a := &asker{resolvers: d.Resolvers, memory: d.memory(f), hide: serviceName(f), learned: make(chan struct{})}
	names := slices.DeleteFunc(slices.Clone(ends), func(e dial.Endpoint) bool {
		addr, err := netip.ParseAddr(e.Host)
		a.local = a.local || err == nil && !dial.IsPublic(addr)
		return err == nil
	})
	if len(names) == 0 || len(d.Resolvers) == 0 {
		return nil
	}
	a.by = d.toResolvers()
	return []dial.Group{{Endpoints: names, After: after, Reserve: &dial.Reserve{Lookup: a.lookup}}}
}

// toResolvers is the Dialer that reaches d's resolvers, whose own names are asked of the
// system alone. Resolvers speak HTTP/2, and not all of them HTTP/1.1: a browser offers both.
// They see a look as fronts do.
func (d *Dialer) toResolvers() *Dialer {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resolving == nil {
		d.resolving = &Dialer{Roots: d.Roots, Connect: d.Connect, Proxy: d.Proxy, Now: d.Now, Look: d.Look, LookKey: d.LookKey, lookup: d.lookup, kind: look.Page}
	}
	return d.resolving
}

// lookup asks one resolver after another until one answers, unless one did just now; network
// is ip4 or ip6. The error is an *unresolvedError.
func (a *asker) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if known, ok := a.memory.answered(network, host); ok {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTogether)
	defer cancel()
	defer a.beside(ctx)()
	found, err := a.race(ctx, network, host)
	if err != nil {
		return nil, &unresolvedError{err}
	}
	a.memory.keepAnswer(network, host, found.addrs)
	return found.addrs, nil
}

// forECH is what stands in place of a network where a name's configuration of ECH is asked for.
const forECH = "https"

// race asks one resolver after another until one answers; network is ip4, ip6 or forECH.
func (a *asker) race(ctx context.Context, network, host string) (findings, error) {
	found, _, err := dial.Race(ctx, a.resolvers, func(link.Resolver) time.Duration { return askNext },
		func(ctx context.Context, r link.Resolver) (findings, error) { return a.ask(ctx, r, network, host) }, func(findings) {})
	return found, err
}

// findings are what a resolver gave: addresses, or a configuration of ECH.
type findings struct {
	addrs []netip.Addr
	ech   ech.Config
}

// Close does nothing: a resolver's connection is closed by then.
func (findings) Close() error { return nil }

var errLocal = errors.New("leads into a private network")

func (a *asker) ask(ctx context.Context, r link.Resolver, network, host string) (findings, error) {
	ctx, cancel := context.WithTimeout(ctx, askEach)
	defer cancel()
	found, _, err := Open(ctx, a.by, r.Front, func(ctx context.Context, conn *Conn) (findings, error) {
		if network == forECH {
			return echIn(doh.AskECH(ctx, conn, r.URL(), host))
		}
		found, err := doh.Ask(ctx, conn, r.URL(), network, host)
		switch {
		case network == "ip6" && errors.Is(err, doh.ErrNoAddress):
			return findings{}, nil // most names have none: another resolver need not know the name
		case err != nil:
			return findings{}, err
		}
		return a.believed(found)
	})
	return found, err
}

// believed are those of the addresses found that a front may have.
func (a *asker) believed(found []netip.Addr) (findings, error) {
	if a.local {
		return findings{addrs: found}, nil
	}
	found = slices.DeleteFunc(found, func(a netip.Addr) bool { return !dial.IsPublic(a) })
	if len(found) == 0 {
		return findings{}, errLocal
	}
	return findings{addrs: found}, nil
}

// unresolvedError is why no resolver has helped.
type unresolvedError struct{ err error }

func (e *unresolvedError) Error() string { return e.what() }
func (e *unresolvedError) Unwrap() error { return e.err }

// what says it in one line, without names and addresses.
func (e *unresolvedError) what() string {
	var all []string
	for _, cause := range dial.Causes(e.err) {
		if one := fmt.Sprintf("one of them %s", shortcoming(cause)); !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	return "no resolver that was asked over HTTPS helps: " + strings.Join(all, ", ") + "; try another by --resolver"
}

func shortcoming(err error) string {
	var told *doh.Error
	switch {
	case errors.As(err, &told):
		return told.What
	case errors.Is(err, errLocal):
		return errLocal.Error()
	case errors.Is(err, context.Canceled):
		return "was given up"
	}
	return "cannot be reached"
}

func describeUnresolved(err error) string {
	var u *unresolvedError
	if !errors.As(err, &u) {
		return ""
	}
	return u.what()
}
