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
	lookupTimeout    = 5 * time.Second
	connectTimeout   = 5 * time.Second
	handshakeTimeout = 10 * time.Second
)

// maxAddresses bounds how many addresses of one name are tried.
const maxAddresses = 8

// A handshake makes the TLS connection to a front over raw. It has verified the
// front's certificate when it returns (see verifier), and does not close raw. A
// ClientHello that looks like a browser's would be another handshake.
type handshake func(ctx context.Context, raw net.Conn, f link.Front) (net.Conn, error)

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

	// Now is the time by which certificates are judged. nil: time.Now.
	Now func() time.Time

	lookup    func(ctx context.Context, network, host string) ([]netip.Addr, error) // nil: the system's
	handshake handshake                                                             // nil: that of crypto/tls

	mu     sync.Mutex              // guards the following
	fronts map[string]*frontMemory // by link.Front.String
}

// Clone returns a Dialer with d's settings and a memory of its own.
func (d *Dialer) Clone() *Dialer {
	return &Dialer{Wrap: d.Wrap, Roots: d.Roots, Connect: d.Connect, Now: d.Now, lookup: d.lookup, handshake: d.handshake}
}

// frontMemory is what a Dialer remembers of one front.
type frontMemory struct {
	sessions tls.ClientSessionCache

	mu   sync.Mutex // guards the following
	good target
}

// target is an address of a front.
type target struct {
	dial int        // index into link.Front.Addrs
	addr netip.Addr // an address that this entry resolved to
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
func (d *Dialer) Dial(ctx context.Context, f link.Front) (net.Conn, error) {
	raw, err := d.Reach(ctx, f)
	if err != nil {
		return nil, err
	}
	return d.Secure(ctx, raw, f)
}

// Secure is the second half of Dial: it makes TLS of raw, a connection to f, and
// closes raw if that fails.
func (d *Dialer) Secure(ctx context.Context, raw net.Conn, f link.Front) (net.Conn, error) {
	if d.Wrap != nil {
		raw = d.Wrap(raw)
	}
	shake := d.handshake
	if shake == nil {
		shake = d.goHandshake
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn, err := shake(ctx, raw, f)
	if err != nil {
		raw.Close()
		return nil, Failed(StepTLS, err)
	}
	return conn, nil
}

// dialed is a connection and what it leads to.
type dialed struct {
	net.Conn
	target
}

func (c dialed) drop() { c.Close() }

// Reach is the first half of Dial: it opens a TCP connection to one of f's
// addresses, of which the last good one is tried first.
func (d *Dialer) Reach(ctx context.Context, f link.Front) (net.Conn, error) {
	m := d.memory(f)
	good, addrs := m.best(), f.Addrs()
	won, _, err := dial.Race(ctx, len(addrs), good.dial, dial.Stagger, func(ctx context.Context, i int) (dialed, error) {
		c, err := d.reachHost(ctx, addrs[i], good.addr)
		c.target.dial = i
		return c, err
	}, dialed.drop)
	if err != nil {
		return nil, Failed(StepConnect, err)
	}
	m.remember(won.target)
	return won.Conn, nil
}

// reachHost opens a TCP connection to address, host:port, of which the host
// may stand for several addresses; good is tried first if it is one of them.
func (d *Dialer) reachHost(ctx context.Context, address string, good netip.Addr) (dialed, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return dialed{}, err
	}
	addrs, err := d.resolve(ctx, host)
	if err != nil {
		return dialed{}, err
	}
	first := slices.Index(addrs, good)
	won, _, err := dial.Race(ctx, len(addrs), first, dial.Stagger, func(ctx context.Context, i int) (dialed, error) {
		c, err := d.connectTo(ctx, net.JoinHostPort(addrs[i].String(), port))
		return dialed{Conn: c, target: target{addr: addrs[i]}}, err
	}, dialed.drop)
	return won, err
}

func (d *Dialer) connectTo(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if d.Connect != nil {
		return d.Connect(ctx, "tcp", address)
	}
	// Go sets TCP_NODELAY. The carrier's own pings find dead paths; the
	// kernel's probes would wake a phone every 15 seconds.
	tcp := net.Dialer{KeepAlive: -1}
	return tcp.DialContext(ctx, "tcp", address)
}

// resolve returns at most maxAddresses, IPv6 and IPv4 by turns, as the system
// orders them (RFC 8305, section 4).
func (d *Dialer) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	lookup := d.lookup
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	addrs, err := lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
	}
	return interleave(addrs), nil
}

// interleave takes the families by turns, beginning with that of the first.
func interleave(addrs []netip.Addr) []netip.Addr {
	var one, other []netip.Addr
	for _, a := range addrs {
		if a = a.Unmap(); a.Is4() == addrs[0].Unmap().Is4() {
			one = append(one, a)
		} else {
			other = append(other, a)
		}
	}
	var mixed []netip.Addr
	for i := range max(len(one), len(other)) {
		mixed = append(mixed, one[min(i, len(one)):min(i+1, len(one))]...)
		mixed = append(mixed, other[min(i, len(other)):min(i+1, len(other))]...)
	}
	return mixed[:min(len(mixed), maxAddresses)]
}
