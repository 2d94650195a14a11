package whatsapp

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The times of a race. The first three are RFC 8305's (section 8).
const (
	stagger         = 250 * time.Millisecond // between attempts, unless one fails
	resolutionDelay = 50 * time.Millisecond  // the first addresses wait so long for better ones
	attemptWait     = 5 * time.Second        // for one lookup or one address, as the official proxy waits
	raceWait        = 10 * time.Second       // for all of them together
	fallback        = 2 * time.Second        // a media host has this start before whatsapp.net
)

const (
	maxAddrs    = 4  // of one host and family that are tried
	maxAttempts = 32 // of one race
)

// group is endpoints that wait for their turn: until nothing of earlier groups
// is left to try, and until after has passed since the race began at the latest.
type group struct {
	after time.Duration
	ends  []endpoint
	keep  bool // a winner is remembered
}

// candidate is an address to try. Lower ranks come first.
type candidate struct {
	addr netip.AddrPort
	rank int
	keep bool
}

type answer struct {
	ask   question
	addrs []netip.Addr
	err   error
}

// question is a lookup of one host and family for the endpoints of a group.
type question struct {
	host  string
	v4    bool
	group group
	level int  // of the group, in the order of opening
	first bool // the group's first host: attempts wait a little for its answers
}

type attempt struct {
	candidate
	conn net.Conn
	err  error
}

// race dials addresses in the manner of Happy Eyeballs (RFC 8305): the first
// connection wins. All fields belong to the goroutine of run.
type race struct {
	u       *Upstream
	began   time.Time
	next    time.Time // no attempt starts before
	groups  []group   // not opened yet
	level   int       // groups opened
	queue   []candidate
	tried   map[netip.AddrPort]bool
	asking  int       // lookups under way
	awaited int       // of these, the ones for the first host of the newest group
	hold    time.Time // no attempt starts before, unless none is awaited any more
	dialing int       // attempts under way
	answers chan answer
	ends    chan attempt
	worst   failure
}

func (u *Upstream) race(ctx context.Context, groups []group) (net.Conn, candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, raceWait)
	r := &race{
		u: u, began: time.Now(), groups: groups, tried: make(map[netip.AddrPort]bool),
		answers: make(chan answer), ends: make(chan attempt),
	}
	defer r.finish()
	defer cancel()
	return r.run(ctx)
}

func (r *race) run(ctx context.Context) (net.Conn, candidate, error) {
	for {
		r.openGroups(ctx)
		r.start(ctx)
		if r.idle() && len(r.groups) == 0 {
			return nil, candidate{}, r.worst.err()
		}
		timer := time.NewTimer(r.pause())
		select {
		case a := <-r.answers:
			r.take(a)
		case e := <-r.ends:
			r.dialing--
			if e.err == nil {
				timer.Stop()
				return e.conn, e.candidate, nil
			}
			r.worst.add(failedDial, e.err)
			r.next = time.Time{}
		case <-timer.C:
		case <-ctx.Done():
			r.worst.add(failedTime, ctx.Err())
			timer.Stop()
			return nil, candidate{}, r.worst.err()
		}
		timer.Stop()
	}
}

func (r *race) idle() bool { return r.asking == 0 && r.dialing == 0 && len(r.queue) == 0 }

// pause is how long nothing is due.
func (r *race) pause() time.Duration {
	if r.idle() {
		return 0
	}
	d := raceWait
	if len(r.groups) > 0 {
		d = min(d, time.Until(r.began.Add(r.groups[0].after)))
	}
	if len(r.queue) > 0 {
		d = min(d, time.Until(r.due()))
	}
	return d
}

// openGroups asks for the addresses of the groups whose turn it is.
func (r *race) openGroups(ctx context.Context) {
	for len(r.groups) > 0 && (r.idle() || time.Since(r.began) >= r.groups[0].after) {
		g := r.groups[0]
		r.groups = r.groups[1:]
		r.open(ctx, g)
		r.level++
	}
}

func (r *race) open(ctx context.Context, g group) {
	asked := make(map[string]bool)
	r.awaited, r.hold = 0, time.Time{}
	for i, e := range g.ends {
		if asked[e.host] {
			continue
		}
		asked[e.host] = true
		if a, err := netip.ParseAddr(e.host); err == nil {
			r.add(question{host: e.host, v4: a.Unmap().Is4(), group: g, level: r.level}, []netip.Addr{a})
			continue
		}
		for _, v4 := range []bool{false, true} {
			r.ask(ctx, question{e.host, v4, g, r.level, i == 0})
		}
	}
}

func (r *race) ask(ctx context.Context, q question) {
	r.asking++
	if q.first {
		r.awaited++
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, attemptWait)
		defer cancel()
		addrs, err := r.u.lookup(ctx, q)
		r.answers <- answer{q, addrs, err}
	}()
}

// take keeps an answer. The first one with addresses waits a little for those
// that belong in front of it.
func (r *race) take(a answer) {
	r.asking--
	if a.err != nil {
		r.worst.add(failedLookup, a.err)
	}
	r.add(a.ask, a.addrs)
	if a.ask.level != r.level-1 {
		return
	}
	if a.ask.first {
		r.awaited--
	}
	switch {
	case r.awaited == 0:
		r.hold = time.Time{}
	case len(a.addrs) > 0 && r.hold.IsZero():
		r.hold = time.Now().Add(resolutionDelay)
	}
}

// due is when the next attempt may start.
func (r *race) due() time.Time {
	if r.hold.After(r.next) {
		return r.hold
	}
	return r.next
}

// add queues addresses for each of the host's ports. Ranks let groups come one
// after another, first addresses before second ones, and families alternate.
func (r *race) add(q question, addrs []netip.Addr) {
	for i, a := range addrs[:min(len(addrs), maxAddrs)] {
		for j, e := range q.group.ends {
			if e.host != q.host {
				continue
			}
			rank := (q.level*maxAddrs+i)*len(chatEndpoints) + j
			rank *= 2
			if q.v4 {
				rank++
			}
			r.queue = append(r.queue, candidate{netip.AddrPortFrom(a.Unmap(), e.port), rank, q.group.keep})
		}
	}
	slices.SortStableFunc(r.queue, func(a, b candidate) int { return a.rank - b.rank })
}

// start begins the next attempt if it is due. Addresses that may not be dialled
// take no turn.
func (r *race) start(ctx context.Context) {
	for len(r.queue) > 0 && !time.Now().Before(r.due()) {
		c := r.queue[0]
		r.queue = r.queue[1:]
		if r.tried[c.addr] || len(r.tried) >= maxAttempts {
			continue
		}
		r.tried[c.addr] = true
		if !r.u.AllowPrivate && !Public(c.addr.Addr()) {
			r.worst.add(failedRule, ErrNotPublic)
			continue
		}
		r.next = time.Now().Add(stagger)
		r.dialing++
		go func() {
			ctx, cancel := context.WithTimeout(ctx, attemptWait)
			defer cancel()
			conn, err := r.u.dial(ctx, c.addr)
			r.ends <- attempt{c, conn, err}
		}()
	}
}

// finish waits for every goroutine and closes the losers. The context has ended.
func (r *race) finish() {
	for ; r.asking > 0; r.asking-- {
		<-r.answers
	}
	for ; r.dialing > 0; r.dialing-- {
		if e := <-r.ends; e.conn != nil {
			e.conn.Close()
		}
	}
}
