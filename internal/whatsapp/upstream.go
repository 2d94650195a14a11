package whatsapp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"culvert/internal/dial"
	"culvert/internal/wire"
)

// ErrNotAllowed means the service or its host is not WhatsApp's. Refuse the
// stream; another attempt fails too.
var ErrNotAllowed = errors.New("host is not allowed")

// ErrUnreachable means no address of the service took a connection in time.
// Another attempt may succeed.
var ErrUnreachable = errors.New("WhatsApp is unreachable")

const (
	attemptWait = 5 * time.Second  // for one lookup or one address, as the official proxy waits
	raceWait    = 10 * time.Second // for all of them together
	fallback    = 2 * time.Second  // a media host has this start before whatsapp.net
)

// Upstream dials WhatsApp: what an origin may reach, and how. The zero value
// reaches WhatsApp. Its methods may be called at once; fields must not change
// after the first call, and it must not be copied.
type Upstream struct {
	// Chat, Media and Web replace WhatsApp for the whole of a service, as
	// host:port, for tests and private networks. Empty: WhatsApp. The hosts that
	// clients ask for must be WhatsApp's all the same.
	Chat, Media, Web string

	// AllowPrivate permits addresses that are not of the public internet. Leave it off unless a
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
		if _, err := dial.ParseEndpoint(r.addr); err != nil {
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
	p, err := u.plan(s)
	if err != nil {
		return nil, err
	}
	key := s.Kind.String() + " " + s.Host
	if last, ok := u.good.get(key); ok {
		p.begin(last)
	}
	conn, won, err := u.race(ctx, p.groups)
	switch {
	case err != nil:
		u.good.drop(key)
		return nil, err
	case !p.fallback || won.Group < len(p.groups)-1:
		u.good.put(key, won.Addr)
	}
	return conn, nil
}

// race connects to the first of groups that answers.
func (u *Upstream) race(ctx context.Context, groups []dial.Group) (net.Conn, dial.Candidate, error) {
	limited, cancel := context.WithTimeout(ctx, raceWait)
	defer cancel()
	hosts := dial.Hosts{Lookup: u.LookupIP, Allow: u.allow, Connect: u.dial, Patience: attemptWait}
	conn, won, err := hosts.Dial(limited, groups)
	switch {
	case err == nil:
		return conn, won, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, won, ctx.Err()
	}
	return nil, won, unreachable(err)
}

// plan is what to try for a service.
type plan struct {
	groups   []dial.Group
	fallback bool // the last group is one: who wins by it is not remembered
}

// begin has p begin with an address that was good, which costs no lookup.
func (p *plan) begin(last dial.Endpoint) {
	p.groups = slices.Concat(groupOf(last), p.groups)
	p.groups[1].After = dial.Stagger
}

func groupOf(ends ...dial.Endpoint) []dial.Group { return []dial.Group{{Endpoints: ends}} }

// chatEndpoints is where chat is served, raw on every port, in the order of
// trying: Meta's own chart treats all of them alike. 80 comes last, as networks
// meddle with it.
var chatEndpoints = []dial.Endpoint{
	{Host: "g.whatsapp.net", Port: 5222}, {Host: "g.whatsapp.net", Port: 443},
	{Host: "g-fallback.whatsapp.net", Port: 5222}, {Host: "g-fallback.whatsapp.net", Port: 443},
	{Host: "g.whatsapp.net", Port: 80}, {Host: "g-fallback.whatsapp.net", Port: 80},
}

// mediaEndpoint serves every media name by SNI; the official proxy knows no other.
var mediaEndpoint = dial.Endpoint{Host: "whatsapp.net", Port: 443}

// plan is what to try for s: at least one group.
func (u *Upstream) plan(s wire.Service) (plan, error) {
	asked := groupOf(dial.Endpoint{Host: s.Host, Port: 443})
	switch {
	case s.Kind == wire.Chat:
		return replaced(u.Chat, plan{groups: groupOf(chatEndpoints...)})
	case s.Kind == wire.Media && s.Host == "":
		return replaced(u.Media, plan{groups: groupOf(mediaEndpoint)})
	case s.Kind != wire.Media && s.Kind != wire.Web, !IsAllowed(s.Host, 443):
		return plan{}, ErrNotAllowed
	case s.Kind == wire.Media:
		second := dial.Group{After: fallback, Endpoints: []dial.Endpoint{mediaEndpoint}}
		return replaced(u.Media, plan{groups: append(asked, second), fallback: true})
	}
	return replaced(u.Web, plan{groups: asked})
}

// replaced is p, or the replacement alone if there is one.
func replaced(replacement string, p plan) (plan, error) {
	if replacement == "" {
		return p, nil
	}
	e, err := dial.ParseEndpoint(replacement)
	if err != nil {
		return plan{}, fmt.Errorf("%w: replacement: %w", ErrUnreachable, err)
	}
	return plan{groups: groupOf(e)}, nil
}

// allow says whether a may be dialled.
func (u *Upstream) allow(a netip.Addr) error {
	if u.AllowPrivate || dial.IsPublic(a) {
		return nil
	}
	return ErrNotPublic
}

func (u *Upstream) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if u.DialAddr != nil {
		return u.DialAddr(ctx, "tcp", addr.String())
	}
	d := net.Dialer{ControlContext: u.control} // its DialTCP binds a port first, and those run out
	return d.DialContext(ctx, "tcp", addr.String())
}

// control looks at the very address that the system is about to connect to, so
// nothing that happened to a name before matters.
func (u *Upstream) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return ErrNotPublic
	}
	return u.allow(a.Addr())
}

// A stage says how far an attempt came.
const (
	failedName = iota
	failedLookup
	failedRule
	failedTime
	failedDial
)

// stage is how far the attempt came that ended with err.
func stage(err error) int {
	switch {
	case err == dial.ErrNothing:
		return failedName
	case errors.As(err, new(*dial.LookupError)):
		return failedLookup
	case errors.Is(err, ErrNotPublic):
		return failedRule
	case err == context.DeadlineExceeded:
		return failedTime
	}
	return failedDial
}

// unreachable says in words of ours why all attempts failed. Of many errors that
// err joins, it reports the first of those that came furthest.
func unreachable(err error) error {
	causes := dial.Causes(err)
	cause := slices.MaxFunc(causes, func(a, b error) int { return stage(a) - stage(b) })
	switch stage(cause) {
	case failedName:
		return fmt.Errorf("%w: its name has no address", ErrUnreachable)
	case failedLookup:
		return fmt.Errorf("%w: its name does not resolve", ErrUnreachable)
	case failedRule:
		return ErrNotPublic
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, anonymous(cause))
}

// anonymous is err without the names and addresses that package net writes into
// its errors.
func anonymous(err error) error {
	var (
		system *os.SyscallError
		errno  syscall.Errno
		netErr net.Error
	)
	switch {
	case errors.As(err, &system):
		return system
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return os.ErrDeadlineExceeded
	}
	return errors.New("cannot be dialled")
}

// memory keeps the address that served each service last. Clients choose the
// keys, so their number is bounded.
type memory struct {
	mu sync.Mutex
	at map[string]choice
}

type choice struct {
	addr  netip.AddrPort
	until time.Time
}

const (
	maxChoices = 256
	// choiceLife is how long an address is tried before its name is looked up
	// again: the system's resolver caches nothing, and WhatsApp moves its names
	// between sites.
	choiceLife = 10 * time.Minute
)

func (m *memory) get(key string) (dial.Endpoint, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.at[key]
	if !ok || time.Now().After(c.until) {
		return dial.Endpoint{}, false
	}
	return dial.Endpoint{Host: c.addr.Addr().String(), Port: c.addr.Port()}, true
}

// put remembers addr. The time of life counts from the lookup: an address that
// is remembered keeps its end.
func (m *memory) put(key string, addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if c := m.at[key]; c.addr == addr && now.Before(c.until) {
		return
	}
	if m.at == nil || len(m.at) >= maxChoices { // full: what is asked for often comes back
		m.at = make(map[string]choice)
	}
	m.at[key] = choice{addr, now.Add(choiceLife)}
}

func (m *memory) drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.at, key)
}
