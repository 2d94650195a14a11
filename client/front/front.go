// Package front opens verified TLS connections to the fronts of a link, and says
// in plain words why one cannot be reached.
package front

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
)

// Deadlines of the steps to a front. Censored networks drop packets rather
// than refuse, so a step that takes longer has failed.
const (
	stepTimeout      = 5 * time.Second // for one lookup, and for one address
	handshakeTimeout = 10 * time.Second
)

// Dialer reaches fronts. Its zero value is ready, and its fields must not change
// once it was used. It remembers which address of a front was good, and TLS
// sessions, so that a later connection is faster and smaller. Several goroutines
// may use one Dialer. It starts no goroutine that outlives a call. Its errors are
// *Error, and tell a person what to try.
type Dialer struct {
	// Wrap, if set, puts a connection between TCP and TLS.
	Wrap func(net.Conn) net.Conn

	// Roots are the authorities to trust for fronts without pins. nil: the
	// system's.
	Roots *x509.CertPool

	// Connect opens a connection to an address, an IP and a port. nil: TCP.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)

	// Now is the time by which certificates without pins are judged. nil: time.Now.
	Now func() time.Time

	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: the system's

	mu     sync.Mutex              // guards the following
	fronts map[string]*frontMemory // by link.Front.String
}

// Clone returns a Dialer with d's settings and a memory of its own.
func (d *Dialer) Clone() *Dialer {
	return &Dialer{Wrap: d.Wrap, Roots: d.Roots, Connect: d.Connect, Now: d.Now, lookup: d.lookup}
}

// frontMemory is what a Dialer remembers of one front.
type frontMemory struct {
	sessions tls.ClientSessionCache

	mu   sync.Mutex // guards the following
	good target
}

// target is an address of a front.
type target struct {
	end  dial.Endpoint // one of link.Front.Addrs
	addr netip.Addr    // an address of its host
}

func (d *Dialer) memory(f link.Front) *frontMemory {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := f.String()
	m := d.fronts[key]
	if m == nil {
		m = &frontMemory{sessions: tls.NewLRUClientSessionCache(8)}
		if d.fronts == nil {
			d.fronts = make(map[string]*frontMemory)
		}
		d.fronts[key] = m
	}
	return m
}

func (m *frontMemory) best() target {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.good
}

func (m *frontMemory) remember(t target) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.good = t
}

// Dial opens a TLS connection to f: TCP to the best of its addresses, then a
// handshake that has verified who answers. ctx bounds only the dial, not the
// connection. The error is an *Error.
func (d *Dialer) Dial(ctx context.Context, f link.Front) (*tls.Conn, error) {
	raw, err := d.Reach(ctx, f)
	if err != nil {
		return nil, err
	}
	return d.Secure(ctx, raw, f)
}

// Secure is the second half of Dial: it makes TLS of raw, a connection to f, and
// closes raw if that fails.
func (d *Dialer) Secure(ctx context.Context, raw net.Conn, f link.Front) (*tls.Conn, error) {
	if d.Wrap != nil {
		raw = d.Wrap(raw)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Client(raw, d.tlsConfig(f))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, Failed(StepTLS, err)
	}
	return conn, nil
}

// Reach is the first half of Dial: it opens a TCP connection to one of f's
// addresses, of which the last good one is tried first.
func (d *Dialer) Reach(ctx context.Context, f link.Front) (net.Conn, error) {
	m := d.memory(f)
	groups, err := groupsOf(f, m.best())
	if err != nil {
		return nil, Failed(StepConnect, err)
	}
	hosts := dial.Hosts{Lookup: d.lookup, Connect: d.connect, Patience: stepTimeout}
	conn, won, err := hosts.Dial(ctx, groups)
	if err != nil {
		return nil, Failed(StepConnect, err)
	}
	m.remember(target{groups[won.Group].Endpoints[0], won.Addr.Addr()})
	return conn, nil
}

// groupsOf lists what to try for f: what was good, then the others in their order.
func groupsOf(f link.Front, good target) ([]dial.Group, error) {
	var groups []dial.Group
	for _, address := range f.Addrs() {
		e, err := dial.ParseEndpoint(address)
		if err != nil {
			return nil, err
		}
		g := dial.Group{Endpoints: []dial.Endpoint{e}}
		if e == good.end {
			g.Prefer = good.addr
			groups = slices.Insert(groups, 0, g)
		} else {
			groups = append(groups, g)
		}
	}
	for i := range groups {
		groups[i].After = time.Duration(i) * dial.Stagger
	}
	return groups, nil
}

func (d *Dialer) connect(ctx context.Context, address netip.AddrPort) (net.Conn, error) {
	if d.Connect != nil {
		return d.Connect(ctx, "tcp", address.String())
	}
	// Go sets TCP_NODELAY. The carrier's own pings find dead paths; the
	// kernel's probes would wake a phone every 15 seconds.
	tcp := net.Dialer{KeepAlive: -1}
	return tcp.DialContext(ctx, "tcp", address.String())
}
