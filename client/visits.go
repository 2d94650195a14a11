package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"culvert/client/front"
	"culvert/client/kept"
	"culvert/client/visit"
	"culvert/internal/wire"
)

// Visits to fronts' pages: a browser opens a WebSocket from a page, and some networks let none pass that had no page
// before. A visit is never the reason that a front is not used: the socket waits for it a little while at most, and
// nothing that a front does in one counts against it.
const (
	// visitReach is how long the first socket waits for the front to shake hands for its page, and visitWhole for
	// all of the visit.
	visitReach, visitWhole = time.Second, 2 * time.Second
	// visitTrips is for how many round trips a front may be silent that has been sent a ClientHello for its page, and
	// visitSlack for how much longer: the socket's would find the same silence.
	visitTrips, visitSlack = 2, 250 * time.Millisecond
	// visitLimit is when a visit ends that nobody waits for any more.
	visitLimit = 10 * time.Second
	// visitTries is how often a front's page is asked for before its first socket, if nothing comes of that.
	visitTries = 2
	// visitEvery and visitMore are between two visits to a front that is used.
	visitEvery, visitMore = 15 * time.Minute, 30 * time.Minute
	// visitMost is what visits to one front may move at once, both ways, and how much more of it an hour makes up for: no
	// hour moves more than twice as much, and the requests that were sent when all was spent. One of less than visitLeast
	// is not begun.
	visitMost, visitLeast = 42_000, 8_000
)

// visits is how it stands with the visits to each front.
type visits struct {
	mu     sync.Mutex // guards the following
	fronts map[int]*visited
}

// visited is that of one front. Its fields but site are guarded by visits.mu.
type visited struct {
	site  visit.Site
	spent toll
	tries int       // visits before its first socket in this network
	over  bool      // there is no other visit before a socket
	known bool      // it was good here at an earlier start: a browser has its page, and its socket waits for nothing
	busy  bool      // one is under way
	next  time.Time // when the next is due, if the front is used; zero: that is not decided
	moved uint64    // what the app's connections had moved when it was looked at last
}

// toll is bytes that are made up for as time passes.
type toll struct {
	bytes int
	at    time.Time
}

func (s *toll) now(now time.Time) int {
	made := float64(visitMost) * now.Sub(s.at).Hours()
	s.bytes, s.at = max(s.bytes-int(max(made, 0)), 0), now
	return s.bytes
}

// of is that of a front. mu is held.
func (v *visits) of(front int) *visited {
	if v.fronts == nil {
		v.fronts = map[int]*visited{}
	}
	if v.fronts[front] == nil {
		v.fronts[front] = &visited{}
	}
	return v.fronts[front]
}

// site is what is kept of a front's website.
func (v *visits) site(front int) *visit.Site {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &v.of(front).site
}

// begin forgets all but what was spent, as the network is another: cookies would tell a website who has moved.
func (v *visits) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, f := range v.fronts {
		f.site.Forget()
		f.tries, f.over, f.known, f.next = 0, false, false, time.Time{}
	}
}

// entered notes that a front has opened a socket.
func (v *visits) entered(front int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.of(front).over = true
}

// start reports how much a visit may bring that begins now; 0: there is none.
func (v *visits) start(front int, isFirst bool, now time.Time) (room int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.of(front)
	if room = visitMost - f.spent.now(now); f.busy || room < visitLeast || isFirst && (f.over || f.tries >= visitTries) {
		return 0
	}
	f.busy = true
	if isFirst {
		f.tries++
	}
	return room
}

// ended notes what a visit has brought, of how much that it might, and whether all of it came. One for which that was
// too little is followed by none before there is as much as possible.
func (v *visits) ended(front, brought, room int, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, now := v.of(front), time.Now()
	f.spent.now(now)
	f.spent.bytes += brought
	f.busy, f.over, f.next = false, f.over || err == nil, now.Add(visitEvery+rand.N(visitMore))
	if brought >= room {
		f.next = f.next.Add(time.Hour)
	}
}

// isDue reports whether it is time to visit a front that is used, whose tunnels have moved so many bytes.
func (v *visits) isDue(front int, moved uint64, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	f := v.of(front)
	if f.next.IsZero() {
		f.next, f.moved = now.Add(visitEvery+rand.N(visitMore)), moved
	}
	if now.Before(f.next) {
		f.moved = moved
		return false
	}
	return f.moved != moved
}

// recall has what was kept be known of a front, which was the good one then or not.
func (v *visits) recall(front int, k kept.Front, wasGood bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f, now := v.of(front), time.Now()
	was := toll{min(k.VisitBytes, visitMost+visitMost/4), time.Unix(k.VisitAt, 0)} // the last requests may have gone beyond it
	f.known = wasGood
	f.spent.bytes = max(f.spent.now(now), was.now(now))
}

// isKnown reports whether a front was good here at an earlier start.
func (v *visits) isKnown(front int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.of(front).known
}

// known adds what is to be kept of a front to k.
func (v *visits) known(front int, k *kept.Front) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f := v.of(front); f.spent.bytes > 0 {
		k.VisitBytes, k.VisitAt = f.spent.bytes, f.spent.at.Unix()
	}
}

// mayVisit reports whether a front's page is asked for: it has one, nobody has said no, and the network counts
// neither connections nor bytes, as far as is known.
func (c *Client) mayVisit(i int) bool {
	f := c.fronts.at(i)
	return c.cfg.Visit && !f.Gateway && !f.NoVisit && !c.budgets.isTight(i) && !c.budgets.isCounted(i)
}

// isCounted reports whether connections to a front are thought to be counted.
func (b *budgets) isCounted(front int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.of(front).minute.most(time.Now(), false) > 0
}

// visitBeside has the page of a front asked for to which no socket was opened yet in this network, while somebody goes
// on who waits already; nil: it is not.
func (c *Client) visitBeside(i int) *oneVisit {
	if !c.mayVisit(i) {
		return nil
	}
	return c.goVisit(i, true)
}

// visitFirst visits a front to which no socket was opened yet in this network, and returns once it has, or when the
// socket is to wait no longer. The visit goes on then. silent is for how long the front has said nothing, if
// that is longer than it may take to shake hands.
func (c *Client) visitFirst(ctx context.Context, i int) (silent time.Duration) {
	began, isKnown := time.Now(), c.visits.isKnown(i)
	v := c.visitBeside(i)
	if v == nil || isKnown {
		return 0
	}
	limit := time.NewTimer(visitReach)
	defer limit.Stop()
	for trip, connected := time.Duration(0), v.connected; ; {
		select {
		case trip = <-connected:
			connected = nil
			limit.Reset(min(visitReach-trip, visitTrips*trip+visitSlack))
			continue
		case <-v.reached:
			limit.Reset(visitWhole - visitReach)
			select {
			case <-v.over:
			case <-limit.C:
			case <-ctx.Done():
			}
		case <-limit.C:
			if after := time.Since(began); trip > 0 && after >= (1+visitTrips)*trip {
				return after
			}
		case <-v.over:
		case <-ctx.Done():
		}
		return 0
	}
}

// visitAgain visits the main carrier's front when that is due.
func (c *Client) visitAgain(now time.Time) {
	main := c.pool.view().main
	if main == nil || main.Dead() || !c.mayVisit(main.front) {
		return
	}
	sent, received := c.table.Moved()
	if c.visits.isDue(main.front, sent+received, now) {
		c.goVisit(main.front, false)
	}
}

// oneVisit is a visit that is under way.
type oneVisit struct {
	connected chan time.Duration // gets how long it took to connect, once that is done
	reached   chan struct{}      // closed once the front has shaken hands
	over      chan struct{}      // closed in the end
}

// goVisit begins a visit, if there may be one now; nil: there may not.
func (c *Client) goVisit(i int, isFirst bool) *oneVisit {
	room := c.visits.start(i, isFirst, time.Now())
	if room == 0 {
		return nil
	}
	v := &oneVisit{make(chan time.Duration, 1), make(chan struct{}), make(chan struct{})}
	c.tasks.Go(func() {
		defer close(v.over)
		m := &meter{began: time.Now(), connected: v.connected}
		m.left.Store(int64(room))
		err := c.visit(i, m, v.reached)
		brought := room - int(m.left.Load())
		c.visits.ended(i, brought, room, err)
		c.cfg.Log.Debug("visited a front's page", "front", i+1, "bytes", brought, "complete", err == nil)
	})
	return v
}

// visit is one visit, which closes reached once the front has shaken hands.
func (c *Client) visit(i int, m *meter, reached chan<- struct{}) error {
	ctx, cancel := context.WithTimeout(c.running, visitLimit)
	defer cancel()
	f := c.fronts.at(i).Front
	conn, err := front.OpenPage(ctx, c.cfg.Dialer, f, m.over)
	if err != nil {
		return err
	}
	c.budgets.hasBegun(i)
	close(reached)
	return c.visits.site(i).Visit(ctx, conn, f.Host)
}

// meter counts down what connections move, and ends them after so many bytes.
type meter struct {
	left      atomic.Int64
	began     time.Time
	connected chan<- time.Duration // is told of the first connection; it has room for one
}

var errSpent = errors.New("visits may bring no more for now")

func (m *meter) over(c net.Conn) net.Conn {
	select {
	case m.connected <- time.Since(m.began):
	default:
	}
	return &metered{c, m}
}

type metered struct {
	net.Conn
	meter *meter
}

// Read implements net.Conn.
func (c *metered) Read(b []byte) (int, error) {
	left := c.meter.left.Load()
	if left <= 0 {
		c.Close()
		return 0, errSpent
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), left)])
	c.meter.left.Add(-int64(n))
	return n, err
}

// Write implements net.Conn. A request that has begun is sent whole: the next Read ends the connection then.
func (c *metered) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.meter.left.Add(-int64(n))
	return n, err
}

// siteCookies are what a browser would send with a request for a socket, but those that have the names of ours.
func (c *Client) siteCookies(i int) (all []string) {
	for one := range strings.SplitSeq(c.visits.site(i).Cookies(time.Now()), "; ") {
		name, _, _ := strings.Cut(one, "=")
		if name != "" && name != wire.TokenCookie && name != wire.TicketCookie {
			all = append(all, one)
		}
	}
	return all
}
