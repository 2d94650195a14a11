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

	// viaStagger is the head start of what somebody else connects to, who looks it up
	// and connects while we wait.
	viaStagger = time.Second

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

	// HeadStart is that of Prefer, if it is more than Stagger: RFC 8305, section 5, has it
	// follow from what connecting used to take.
	HeadStart time.Duration

	// Reserve is set for a group that asks for hosts of earlier ones once more, of somebody
	// who is asked only where need be: when nothing else is left, or After has passed
	// without any address. Reached.Proven has it left out. What it finds is connected to by
	// Hosts.Via where the host itself would be. Such groups come last.
	Reserve *Reserve
}

// Reserve is where a group looks hosts up.
type Reserve struct {
	// Lookup is as Hosts.Lookup, and bounds itself.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Candidate is an address that was found for the endpoints of a group, or one of
// the endpoints itself if somebody else connects to it.
type Candidate struct {
	End   Endpoint       // for which it was found
	Addr  netip.AddrPort // zero: somebody else looks End up, and connects to it
	Group int            // its index
	via   Via
	rank  [4]int // lower ones come first: number of the address, group, endpoint, family
}

// place is what a candidate is known by: an address, or an endpoint whose name somebody else
// looks up.
type place struct {
	addr netip.AddrPort
	end  Endpoint
}

func (c Candidate) at() place {
	if c.Addr.IsValid() {
		return place{addr: c.Addr}
	}
	if a, err := netip.ParseAddr(c.End.Host); err == nil {
		return place{addr: netip.AddrPortFrom(a, c.End.Port)}
	}
	return place{end: c.End}
}

// Via connects to an endpoint through somebody else, a proxy, who looks its name up. It
// returns soon after its context ends, and bounds itself.
type Via func(context.Context) (net.Conn, error)

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

	// Via gives the way to an endpoint that is reached through somebody else. Such
	// a one is not looked up here, and Allow is not asked. nil, or if it gives nil: by
	// Connect.
	Via func(Endpoint) Via

	// Patience bounds each lookup and each attempt of Connect, but no Reserve's lookup.
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
	s := h.search(ctx, groups)
	defer s.finish()
	return s.connectNext(ctx)
}

// search is what is known of some groups while one connection is sought, or several one
// after another: the source of their races. One goroutine at a time uses it. What only
// lookups need is made with the first: an address that was good before needs none.
type search struct {
	*Hosts
	ctx       context.Context    // of the lookups
	cancel    context.CancelFunc // nil: there was none
	began     time.Time
	groups    []Group
	opened    int         // groups whose hosts were looked up
	found     bool        // an address of a name, or one whom somebody else reaches
	queue     []Candidate // by rank
	later     []Candidate // to be tried once more, when nothing else is left
	tried     []place
	asking    int         // lookups under way
	awaited   int         // lookups under way for the first host of the newest group
	notBefore time.Time   // no attempt starts before, unless none is awaited any more
	answers   chan func() // nil: nobody has anything to say yet
	errs      []error
}

func (h *Hosts) search(ctx context.Context, groups []Group) *search {
	return &search{Hosts: h, ctx: ctx, began: time.Now(), groups: groups}
}

// listen has others say what happens, and the lookups end with the search.
func (s *search) listen() {
	if s.cancel == nil {
		s.ctx, s.cancel = context.WithCancel(s.ctx)
		s.answers = make(chan func(), 4*maxAttempts)
	}
}

// connectNext connects to the first of what was not tried yet. What has lost against it
// may be tried again. The error is as Dial's.
func (s *search) connectNext(ctx context.Context) (net.Conn, Candidate, error) {
	s.errs = nil
	won, err := race(ctx, s, s.headStart, s.connect, s.putBack)
	switch {
	case err == ErrNothing && len(s.errs) > 0: // they say why
		return nil, Candidate{}, errors.Join(s.errs...)
	case err == ErrNothing:
		return nil, Candidate{}, err
	case err != nil:
		return nil, Candidate{}, errors.Join(append(s.errs, err)...)
	}
	return won.value, won.choice, nil
}

func (s *search) headStart(c Candidate) time.Duration {
	least := Stagger
	if c.via != nil {
		least = viaStagger
	}
	if g := s.groups[c.Group]; c.Addr.Addr() == g.Prefer {
		return max(least, g.HeadStart)
	}
	return least
}

func (s *search) connect(ctx context.Context, c Candidate, _ extend) (net.Conn, error) {
	if c.via != nil {
		return c.via(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	return s.Connect(ctx, c.Addr)
}

// putBack queues what has lost a race, unless it had failed by then.
func (s *search) putBack(late result[Candidate, net.Conn]) {
	if late.err == nil {
		late.value.Close()
	}
	if late.err == nil || errors.Is(late.err, context.Canceled) {
		s.forget(late.choice)
		s.enqueue(late.choice)
	}
}

// proven has groups of reserve left out that were not opened, unless c's address was
// given and not looked up. Any goroutine may call it.
func (s *search) proven(c Candidate) {
	if _, err := netip.ParseAddr(c.End.Host); err == nil {
		return
	}
	s.answers <- func() {
		for s.opened < len(s.groups) && s.groups[len(s.groups)-1].Reserve != nil {
			s.groups = s.groups[:len(s.groups)-1]
		}
	}
}

// again has a candidate that was tried come once more, after all others. Any goroutine
// may call it.
func (s *search) again(c Candidate) {
	s.answers <- func() { s.later = append(s.later, c) }
}

// repeat queues what is to be tried once more.
func (s *search) repeat() {
	for _, c := range s.later {
		s.forget(c)
	}
	s.enqueue(s.later...)
	s.later = nil
}

// forget has a candidate be as one that was not tried.
func (s *search) forget(c Candidate) {
	if i := slices.Index(s.tried, c.at()); i >= 0 {
		s.tried = slices.Delete(s.tried, i, i+1)
	}
}

func (s *search) enqueue(all ...Candidate) {
	s.queue = append(s.queue, all...)
	slices.SortStableFunc(s.queue, func(a, b Candidate) int { return slices.Compare(a.rank[:], b.rank[:]) })
}

func (s *search) news() <-chan func() { return s.answers }

// poll opens the groups whose turn it is.
func (s *search) poll(idle bool) state {
	s.skip()
	for s.opened < len(s.groups) {
		if s.nextIsReserve() {
			s.repeatIfEmpty()
		}
		if !s.isDue(idle) {
			break
		}
		s.open(s.opened, s.groups[s.opened])
		s.opened++
		s.skip()
	}
	if s.opened == len(s.groups) {
		s.repeatIfEmpty()
	}
	return s.state()
}

// nextIsReserve reports whether only groups of reserve are left.
func (s *search) nextIsReserve() bool { return s.groups[s.opened].Reserve != nil }

// isDue reports whether it is the turn of the next group.
func (s *search) isDue(idle bool) bool {
	return idle && s.exhausted() || s.hasTime() && time.Since(s.began) >= s.groups[s.opened].After
}

// hasTime reports whether the next group, if there is one, may be opened by time alone.
func (s *search) hasTime() bool { return s.opened < len(s.groups) && !(s.found && s.nextIsReserve()) }

// state is how things are once the groups that are due were opened.
func (s *search) state() state {
	now := state{wait: forever, over: s.exhausted() && s.opened == len(s.groups)}
	if s.hasTime() {
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

// repeatIfEmpty queues what is to be tried once more, if nothing else is there to try.
func (s *search) repeatIfEmpty() {
	if len(s.queue) == 0 {
		s.repeat()
		s.skip()
	}
}

func (s *search) exhausted() bool {
	return s.asking == 0 && len(s.queue) == 0 && len(s.answers) == 0
}

func (s *search) pop() Candidate {
	first := s.queue[0]
	s.queue = s.queue[1:]
	if at := first.at(); !slices.Contains(s.tried, at) {
		s.tried = append(s.tried, at)
	}
	return first
}

// skip drops addresses from the head of the queue that are not to be tried.
func (s *search) skip() {
	for len(s.queue) > 0 {
		first := s.queue[0]
		if !slices.Contains(s.tried, first.at()) && len(s.tried) < maxAttempts {
			if s.Allow == nil || first.via != nil {
				return
			}
			err := s.Allow(first.Addr.Addr())
			if err == nil {
				return
			}
			s.errs = append(s.errs, err)
		}
		s.pop()
	}
}

// open looks up the hosts of a group.
func (s *search) open(group int, g Group) {
	asked := make(map[string]bool)
	s.awaited, s.notBefore = 0, time.Time{}
	for i, e := range g.Endpoints {
		if g.Reserve == nil && s.addVia(group, i, e) || asked[e.Host] {
			continue
		}
		asked[e.Host] = true
		if a, err := netip.ParseAddr(e.Host); err == nil {
			s.add(group, e.Host, []netip.Addr{a})
			continue
		}
		q := &question{host: e.Host, group: group, first: i == 0}
		s.ask("ip6", q)
		s.ask("ip4", q)
	}
}

// addVia queues an endpoint that somebody else connects to, and reports whether it is
// one.
func (s *search) addVia(group, i int, e Endpoint) bool {
	if s.Via == nil {
		return false
	}
	via := s.Via(e)
	if via != nil {
		s.found = true
		s.enqueue(Candidate{End: e, Group: group, via: via, rank: [4]int{0, group, i}})
	}
	return via != nil
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

func (s *search) ask(network string, q *question) {
	s.listen()
	s.asking++
	q.left++
	if q.first {
		s.awaited++
	}
	reserve := s.groups[q.group].Reserve
	go func() {
		addrs, err := s.lookup(s.ctx, reserve, network, q.host)
		s.answers <- func() { s.learn(q, addrs, err) }
	}()
}

// lookup gives the addresses of one family; network is ip4 or ip6.
func (h *Hosts) lookup(ctx context.Context, by *Reserve, network, host string) (addrs []netip.Addr, err error) {
	if by != nil {
		addrs, err = by.Lookup(ctx, network, host)
	} else {
		ctx, cancel := context.WithTimeout(ctx, h.Patience)
		defer cancel()
		addrs, err = h.ordinary()(ctx, network, host)
	}
	other := func(a netip.Addr) bool { return a.Unmap().Is4() != (network == "ip4") }
	return slices.DeleteFunc(slices.Clone(addrs), other), err
}

// ordinary is how names are looked up but for a Reserve's.
func (h *Hosts) ordinary() func(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if h.Lookup != nil {
		return h.Lookup
	}
	return net.DefaultResolver.LookupNetIP
}

// learn keeps the answer of a lookup. The first one with addresses waits a
// little for those that belong in front of it.
func (s *search) learn(q *question, addrs []netip.Addr, err error) {
	s.asking--
	q.left--
	q.found = q.found || len(addrs) > 0
	s.found = s.found || q.found
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
			s.enqueue(Candidate{End: e, Addr: netip.AddrPortFrom(a, e.Port), Group: group, via: s.viaFound(group, e, a), rank: rank})
		}
	}
}

// viaFound is the way to an address that a group of reserve found for e.
func (s *search) viaFound(group int, e Endpoint, a netip.Addr) Via {
	if s.groups[group].Reserve == nil || s.Via == nil || s.Via(e) == nil {
		return nil
	}
	return s.Via(Endpoint{a.String(), e.Port})
}

// finish ends every lookup, and waits for it.
func (s *search) finish() {
	if s.cancel == nil {
		return
	}
	s.cancel()
	for s.asking > 0 {
		(<-s.answers)()
	}
}
