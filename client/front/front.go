// Package front opens verified TLS connections to the fronts of a link, and says
// in plain words why one cannot be reached.
package front

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"culvert/client/look"
	"culvert/internal/dial"
	"culvert/internal/link"
)

// Deadlines of the steps to a front. Censored networks drop packets rather
// than refuse, so a step that takes longer has failed.
const (
	stepTimeout      = 5 * time.Second // for one lookup, and for one address
	handshakeTimeout = 10 * time.Second
	openTimeout      = 25 * time.Second // for all addresses of a front together
)

// Dialer reaches fronts, and looks like a browser to whoever sees its connections. Its zero value
// is ready, and its fields must not change once it was used. It remembers which address of a front was
// good, which look and how large a ClientHello pass on the way there, and TLS sessions, so that a later
// connection is faster and smaller. Several goroutines may use one Dialer. It starts no goroutine that
// outlives a call. Its errors are *Error, and tell a person what to try.
type Dialer struct {
	// Wrap, if set, puts a connection between TCP and TLS.
	Wrap func(net.Conn) net.Conn

	// Roots are the authorities to trust for fronts without pins. nil: the
	// system's.
	Roots *x509.CertPool

	// Connect opens a connection to an address, an IP and a port, or to a proxy, whose
	// host may be a name. nil: TCP.
	Connect Connect

	// Proxy chooses the way out for each host of a front. nil: none needs a proxy.
	Proxy *Proxy

	// Resolvers are asked for the addresses of a front's names over HTTPS, when the system's
	// resolver gives none, or none at which TLS with the front succeeds. nil: none is asked.
	Resolvers []link.Resolver

	// Now is the time by which certificates without pins are judged. nil: time.Now.
	Now func() time.Time

	// Look names the browser that all connections look like, one of look.Names. Empty: the one that the front
	// names, or else one that LookKey chooses, until it is not let through.
	Look string

	// LookKey is a secret of the user's, so that nobody can tell which look is whose.
	LookKey []byte

	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: the system's
	kind   look.Kind                                                             // what the connections are for

	mu        sync.Mutex              // guards the following
	fronts    map[string]*frontMemory // by link.Front.String
	resolving *Dialer                 // to Resolvers; nil: not needed yet
}

// Connect opens a connection to an address.
type Connect = func(ctx context.Context, network, address string) (net.Conn, error)

// Clone returns a Dialer with d's settings and a memory of its own.
func (d *Dialer) Clone() *Dialer {
	return &Dialer{
		Wrap: d.Wrap, Roots: d.Roots, Connect: d.Connect, Proxy: d.Proxy, Resolvers: d.Resolvers, Now: d.Now, Look: d.Look, LookKey: d.LookKey,
		lookup: d.lookup,
	}
}

func (d *Dialer) memory(f link.Front) *frontMemory {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := f.String()
	m := d.fronts[key]
	if m == nil {
		m = &frontMemory{worn: put(d.firstLook(f)), encryption: demanded(f)}
		if d.fronts == nil {
			d.fronts = make(map[string]*frontMemory)
		}
		d.fronts[key] = m
	}
	return m
}

// groupsOf lists what to try for f: what was good, which has a head start, then the others
// in their order, then what resolvers say.
func (d *Dialer) groupsOf(f link.Front, good target, headStart time.Duration) ([]dial.Group, error) {
	ends, err := endpoints(f)
	if err != nil {
		return nil, err
	}
	groups := make([]dial.Group, 0, len(ends)+2)
	if good.asked && !slices.Contains(ends, good.end) {
		groups = append(groups, dial.Group{Endpoints: []dial.Endpoint{good.end}, Prefer: good.addr, HeadStart: headStart})
	}
	for _, e := range ends {
		g := dial.Group{Endpoints: []dial.Endpoint{e}}
		if e == good.end {
			g.Prefer, g.HeadStart = good.addr, headStart
			groups = slices.Insert(groups, 0, g)
		} else {
			groups = append(groups, g)
		}
	}
	after := time.Duration(0)
	for i := range groups {
		groups[i].After = after
		after += max(dial.Stagger, groups[i].HeadStart)
	}
	return append(groups, d.reserve(f, ends, after+askAfter)...), nil
}

func endpoints(f link.Front) (all []dial.Endpoint, err error) {
	for _, address := range f.Addrs() {
		e, err := dial.ParseEndpoint(address)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// hosts is how to connect to what groupsOf lists for a front, for one Open.
func (d *Dialer) hosts(m *frontMemory) *dial.Hosts {
	connect := func(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
		if !m.mayLeadTo(address.Addr()) {
			return nil, errConfined
		}
		return d.dialTCP(ctx, address.String())
	}
	fails := new(proxyFails)
	via := func(e dial.Endpoint) dial.Via { return d.via(e, fails) }
	return &dial.Hosts{Lookup: d.lookup, Connect: connect, Via: via, Patience: stepTimeout}
}

var errConfined = errors.New("it leads into a private network, and the link has no such address; ask for a new link")

// Confine has connections of f's go to addresses alone that may says. Proxies connect where they like.
func (d *Dialer) Confine(f link.Front, may func(netip.Addr) bool) { d.memory(f).confine(may) }

func (d *Dialer) dialTCP(ctx context.Context, address string) (net.Conn, error) {
	if d.Connect != nil {
		return d.Connect(ctx, "tcp", address)
	}
	return TCP(ctx, "tcp", address)
}

// TCP is the Connect of Dialers that have none. Go sets TCP_NODELAY. The carrier's own pings find dead paths; the
// kernel's probes would wake a phone every 15 seconds.
func TCP(ctx context.Context, network, address string) (net.Conn, error) {
	tcp := net.Dialer{KeepAlive: -1}
	return tcp.DialContext(ctx, network, address)
}
