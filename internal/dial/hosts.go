package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

const (
	// resolutionDelay is how long the first addresses wait for better ones:
	// RFC 8305, section 8.
	resolutionDelay = 50 * time.Millisecond

	maxAddrs    = 4  // of one host and family that are tried
	maxAttempts = 32 // of one race
)

// Endpoint is a host, by a name or an address, and a port of it.
type Endpoint struct {
	Host string
	Port uint16
}

// ErrEndpoint means that a text is not of the form host:port.
var ErrEndpoint = errors.New("not host:port")

// ParseEndpoint reads host:port. The error is ErrEndpoint.
func ParseEndpoint(hostPort string) (Endpoint, error) {
	host, port, err := net.SplitHostPort(hostPort)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || portErr != nil || n == 0 {
		return Endpoint{}, ErrEndpoint
	}
	return Endpoint{host, uint16(n)}, nil
}

// Group is endpoints that wait for their turn: until nothing of earlier groups
// is left to try, and until After has passed since the race began at the latest.
// Endpoints come in the order of trying.
type Group struct {
	After     time.Duration
	Endpoints []Endpoint
	Prefer    netip.Addr // comes first if one of the endpoints has it
}

// Candidate is an address that was found for the endpoints of a group.
type Candidate struct {
	Addr  netip.AddrPort
	Group int    // its index
	rank  [4]int // lower ones come first: number of the address, group, endpoint, family
}

// Hosts connects to hosts whose names are looked up, for both families at once,
// while the race is on. Connect and Patience are required. Several goroutines may
// use one Hosts.
type Hosts struct {
	// Lookup finds the addresses of a host; network is ip4 or ip6, and addresses
	// of the other family are left out. nil: the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)

	// Allow says why an address must not be tried; such a one takes no turn. nil:
	// all may be tried.
	Allow func(netip.Addr) error

	// Connect connects to an address. It returns soon after its context ends.
	Connect func(context.Context, netip.AddrPort) (net.Conn, error)

	// Patience bounds each lookup and each attempt.
	Patience time.Duration
}

// LookupError means that a name could not be looked up.
type LookupError struct{ Err error }

func (e *LookupError) Error() string { return "look up: " + e.Err.Error() }
func (e *LookupError) Unwrap() error { return e.Err }

// Dial connects to the first endpoint that answers. It leaves neither goroutine
// nor connection behind other than the one that it returns. The error joins
// those of Connect and Allow, a *LookupError for each failed lookup of a name
// for which no address was found, and the context's; see Causes.
func (h *Hosts) Dial(ctx context.Context, groups []Group) (net.Conn, Candidate, error) {
	s := &search{Hosts: h, began: time.Now(), groups: groups, tried: make(map[netip.AddrPort]bool), answers: make(chan func())}
	defer s.finish()
	won, err := race(ctx, s, Stagger, s.connect, func(c net.Conn) { c.Close() })
	switch {
	case err == ErrNothing && len(s.errs) > 0: // they say why
		return nil, Candidate{}, errors.Join(s.errs...)
	case err != nil:
		return nil, Candidate{}, errors.Join(append(s.errs, err)...)
	}
	return won.value, won.choice, nil
}

// search is the source of one race of hosts.
type search struct {
	*Hosts
	began     time.Time
	groups    []Group
	opened    int         // groups whose hosts were looked up
	queue     []Candidate // by rank
	tried     map[netip.AddrPort]bool
	asking    int       // lookups under way
	awaited   int       // lookups under way for the first host of the newest group
	notBefore time.Time // no attempt starts before, unless none is awaited any more
	answers   chan func()
	errs      []error
}

func (s *search) connect(ctx context.Context, c Candidate) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	return s.Connect(ctx, c.Addr)
}

func (s *search) news() <-chan func() { return s.answers }

// poll opens the groups whose turn it is.
func (s *search) poll(ctx context.Context, idle bool) state {
	s.skip()
	for s.opened < len(s.groups) && (idle && s.exhausted() || time.Since(s.began) >= s.groups[s.opened].After) {
		s.open(ctx, s.opened, s.groups[s.opened].Endpoints)
		s.opened++
		s.skip()
	}
	now := state{wait: forever, over: s.exhausted() && s.opened == len(s.groups)}
	if s.opened < len(s.groups) {
		now.wait = time.Until(s.began.Add(s.groups[s.opened].After))
	}
	if len(s.queue) > 0 {
		left := time.Until(s.notBefore)
		if now.ready = left <= 0; !now.ready {
			now.wait = min(now.wait, left)
		}
	}
	return now
}

func (s *search) exhausted() bool { return s.asking == 0 && len(s.queue) == 0 }

func (s *search) pop() Candidate {
	first := s.queue[0]
	s.queue = s.queue[1:]
	s.tried[first.Addr] = true
	return first
}

// skip drops addresses from the head of the queue that are not to be tried.
func (s *search) skip() {
	for len(s.queue) > 0 {
		first := s.queue[0].Addr
		if !s.tried[first] && len(s.tried) < maxAttempts {
			if s.Allow == nil {
				return
			}
			err := s.Allow(first.Addr())
			if err == nil {
				return
			}
			s.errs = append(s.errs, err)
		}
		s.pop()
	}
}

// open looks up the hosts of a group.
func (s *search) open(ctx context.Context, group int, ends []Endpoint) {
	asked := make(map[string]bool)
	s.awaited, s.notBefore = 0, time.Time{}
	for i, e := range ends {
		if asked[e.Host] {
			continue
		}
		asked[e.Host] = true
		if a, err := netip.ParseAddr(e.Host); err == nil {
			s.add(group, e.Host, []netip.Addr{a})
			continue
		}
		q := &question{host: e.Host, group: group, first: i == 0}
		s.ask(ctx, "ip6", q)
		s.ask(ctx, "ip4", q)
	}
}

// question is a host that is being looked up.
type question struct {
	host  string
	group int
	first bool    // attempts wait a little for the addresses of a group's first host
	left  int     // lookups under way
	found bool    // it has an address
	errs  []error // of lookups; of interest only while it has none
}

func (s *search) ask(ctx context.Context, network string, q *question) {
	s.asking++
	q.left++
	if q.first {
		s.awaited++
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, s.Patience)
		defer cancel()
		addrs, err := s.lookup(ctx, network, q.host)
		s.answers <- func() { s.learn(q, addrs, err) }
	}()
}

// lookup gives the addresses of one family; network is ip4 or ip6.
func (h *Hosts) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	find := h.Lookup
	if find == nil {
		find = net.DefaultResolver.LookupNetIP
	}
	addrs, err := find(ctx, network, host)
	other := func(a netip.Addr) bool { return a.Unmap().Is4() != (network == "ip4") }
	return slices.DeleteFunc(slices.Clone(addrs), other), err
}

// learn keeps the answer of a lookup. The first one with addresses waits a
// little for those that belong in front of it.
func (s *search) learn(q *question, addrs []netip.Addr, err error) {
	s.asking--
	q.left--
	q.found = q.found || len(addrs) > 0
	if err != nil {
		q.errs = append(q.errs, &LookupError{err})
	}
	if q.left == 0 && !q.found {
		s.errs = append(s.errs, q.errs...)
	}
	s.add(q.group, q.host, addrs)
	if q.group != s.opened-1 {
		return
	}
	if q.first {
		s.awaited--
	}
	switch {
	case s.awaited == 0:
		s.notBefore = time.Time{}
	case len(addrs) > 0 && s.notBefore.IsZero():
		s.notBefore = time.Now().Add(resolutionDelay)
	}
}

// add queues addresses for each of the host's ports. Ranks let first addresses
// come before second ones, so that hosts of many blocked addresses do not keep a
// group whose turn has come from its own; then groups one after another, and
// families by turns.
func (s *search) add(group int, host string, addrs []netip.Addr) {
	prefer := s.groups[group].Prefer
	if at := slices.Index(addrs, prefer); at > 0 {
		addrs[0], addrs[at] = addrs[at], addrs[0]
	}
	for i, a := range addrs[:min(len(addrs), maxAddrs)] {
		a = a.Unmap()
		if a == prefer {
			i = -1
		}
		for j, e := range s.groups[group].Endpoints {
			if e.Host != host {
				continue
			}
			rank := [4]int{i, group, j, 6}
			if a.Is4() {
				rank[3]++
			}
			s.queue = append(s.queue, Candidate{netip.AddrPortFrom(a, e.Port), group, rank})
		}
	}
	slices.SortStableFunc(s.queue, func(a, b Candidate) int { return slices.Compare(a.rank[:], b.rank[:]) })
}

// finish waits for every lookup. The race has ended their context.
func (s *search) finish() {
	for ; s.asking > 0; s.asking-- {
		<-s.answers
	}
}
