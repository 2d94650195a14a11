// Package tunnel carries streams: a Tunnel is one stream cut into frames, which carriers
// take to the peer and which the peer acks. A Session holds the tunnels of what a client
// and an origin have agreed on, and a Table one end's sessions and its carriers; the two
// alone know both.
package tunnel

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/share"
	"culvert/internal/tasks"
	"culvert/internal/wire"
)

// Table is all that one end holds: its sessions, tunnels and carriers. It waits for
// the goroutines of both: after Close none is left. A zero Table is not usable;
// see NewTable. Its methods may be called by many goroutines.
type Table struct {
	Events
	Shares   Shares        // all but Windows are an origin's, and set before the first tunnel
	own      accounts      // a client's
	Guests   *share.Guests // tunnels of a client for other machines; nil: unbounded
	Carriers *carrier.Set  // those that live, to be counted and listed
	isClient bool
	tasks    *tasks.Group
	tunnels  atomic.Int64 // how many there are
	active   atomic.Int64 // when a stream's byte last moved, Unix ns
	moved    [kinds]counters
	pauses   pauses

	mu       sync.RWMutex // guards the following; never held across I/O
	sessions map[*Session]struct{}
	agreed   map[*session.Session]*Session // origin: those sessions by what was agreed on
	waiting  map[*Tunnel]struct{}          // client: tunnels that belong to no session yet
	closed   bool
}

// counters are of bytes of streams, of one kind of service.
type counters struct {
	sent     atomic.Uint64 // read from streams
	received atomic.Uint64 // written to streams
}

// kinds is how many kinds of service there may be, 0 included, which is none.
const kinds = wire.Web + 1

// Events are calls that a Table makes. None may block; nil ones are left out.
type Events struct {
	// Open is told that a tunnel is to begin at the origin. It calls s.Accept or s.Refuse
	// before it returns. early, bytes of the stream, is lent to it.
	Open func(c *carrier.Carrier, s *Session, id uint32, svc wire.Service, early []byte)
	// Proved is told that a carrier's peer has proved itself. It may close c.
	Proved func(c *carrier.Carrier)
	// Ended is told of each tunnel that ends.
	Ended func(End)
	// Spending is told, at the client, that half of a carrier's budget is spent, or all of it.
	Spending func(*carrier.Carrier)
	// Bulk is told once of a tunnel that has moved more than chat does.
	Bulk func(*Tunnel)
	// Draining is told that the origin wants a carrier's tunnels elsewhere.
	Draining func(*carrier.Carrier)
	// Doubted is told, at the client, that a carrier may have died.
	Doubted func(*carrier.Carrier)
	// Expired is told, at the client, that the origin has forgotten a session: tunnels
	// that it had said something of were reset, the others begin anew.
	Expired func(*Session)
}

// End is what is known of a tunnel that ended.
type End struct {
	User     uint32   // at the origin
	Session  *Session // nil: it has not begun
	ID       uint32   // its number there
	Service  wire.Service
	Sent     uint64 // bytes of the stream that went to the peer
	Received uint64 // bytes that were written to the stream
	Carriers int    // how many it used
	Took     time.Duration
	Reason   wire.Reason // 0: both sides closed in order
	FromPeer bool        // the peer gave it up
	Err      error       // what the stream said, if that was the reason
}

// LogValue leaves out the host asked for.
func (e End) LogValue() slog.Value {
	reason := "closed"
	if e.Reason != 0 {
		reason = e.Reason.String()
	}
	return slog.GroupValue(slog.String("service", e.Service.Kind.String()), slog.Uint64("sent", e.Sent),
		slog.Uint64("received", e.Received), slog.Int("carriers", e.Carriers),
		slog.Duration("took", e.Took.Round(time.Millisecond)), slog.String("reason", reason))
}

// NewTable makes an empty table, a client's or an origin's, whose windows grow within
// what NewWindows has made.
func NewTable(ev Events, windows *share.Bound[uint32], isClient bool) *Table {
	tb := &Table{
		Events: ev, Shares: Shares{Windows: windows}, isClient: isClient, tasks: tasks.NewGroup(), sessions: map[*Session]struct{}{},
		agreed: map[*session.Session]*Session{}, waiting: map[*Tunnel]struct{}{}, pauses: pauses{begin: make(chan struct{}, 1)},
	}
	if isClient {
		tb.own = tb.Shares.open(0, nil)
	}
	tb.Carriers = carrier.NewSet(tb.Active, tb.tasks, isClient)
	return tb
}

// KeepWarm keeps a few goroutines, with stacks of 8 to 16 KiB, for carriers that write and streams that have bytes. Its
// caller calls Close in the end.
func (tb *Table) KeepWarm() { tb.tasks.KeepWarm(8) }

// StartTunnel makes the client's end of a tunnel, which belongs to no session until its
// first Attach. It owns stream from here on; early are bytes that were read from it
// already, at most wire.MaxEarly, and belong to the tunnel, too. It returns false if the
// table is closed.
func (tb *Table) StartTunnel(svc wire.Service, early []byte, stream net.Conn) (*Tunnel, bool) {
	t := newTunnel(tb, svc)
	if len(early) > 0 {
		t.send.keep(early, early)
	}
	tb.mu.Lock()
	isClosed := tb.closed
	if !isClosed {
		tb.waiting[t] = struct{}{}
		tb.tunnels.Add(1)
	}
	tb.mu.Unlock()
	if isClosed {
		Abort(stream)
		return nil, false
	}
	t.mu.Lock()
	t.guest = share.Receive(tb.Guests, stream, func() { tb.tasks.Go(func() { t.Reset(wire.Busy) }) })
	t.mu.Unlock()
	return t, t.Join(stream)
}

// forget takes a tunnel off those that wait, as it has begun or ended.
func (tb *Table) forget(t *Tunnel) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	delete(tb.waiting, t)
}

// wait has a tunnel wait as before it began; false if the table is closed.
func (tb *Table) wait(t *Tunnel) bool {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if !tb.closed {
		tb.waiting[t] = struct{}{}
	}
	return !tb.closed
}

func (tb *Table) isClosed() bool {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return tb.closed
}

// Tunnels is how many tunnels there are.
func (tb *Table) Tunnels() int { return int(tb.tunnels.Load()) }

// Active is when a stream's byte last moved in either direction.
func (tb *Table) Active() time.Time { return time.Unix(0, tb.active.Load()) }

// Moved is how many bytes all streams were read and written for so far.
func (tb *Table) Moved() (sent, received uint64) {
	for kind := range wire.ServiceKind(kinds) {
		s, r := tb.MovedOf(kind)
		sent, received = sent+s, received+r
	}
	return sent, received
}

// MovedOf is Moved of the streams of one kind of service. It counts while the
// tunnels run.
func (tb *Table) MovedOf(kind wire.ServiceKind) (sent, received uint64) {
	if kind >= kinds {
		return 0, 0
	}
	m := &tb.moved[kind]
	return m.sent.Load(), m.received.Load()
}

func (tb *Table) allSessions() []*Session {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return slices.Collect(maps.Keys(tb.sessions))
}

func (tb *Table) allTunnels() []*Tunnel {
	tb.mu.RLock()
	all := slices.Collect(maps.Keys(tb.waiting))
	tb.mu.RUnlock()
	for _, s := range tb.allSessions() {
		all = append(all, s.All()...)
	}
	return all
}

// Orphans lists the tunnels that have no carrier, whether they have begun or not.
func (tb *Table) Orphans() []*Tunnel {
	return slices.DeleteFunc(tb.allTunnels(), func(t *Tunnel) bool { return t.Carrier() != nil })
}

// Sweep ends, every few seconds until ctx ends, the tunnels that had no carrier
// for wire.HoldTunnel and the carriers on which nothing came for too long. Streams that pause it has give back
// what they do not need, sooner.
func (tb *Table) Sweep(ctx context.Context) {
	tick, pause := time.NewTicker(sweepEvery), time.NewTimer(pauseEvery)
	defer tick.Stop()
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			tb.sweep(now)
		case <-tb.pauses.begin:
			pause.Reset(pauseEvery)
		case now := <-pause.C:
			rested, left := tb.pauses.end()
			tb.Carriers.Release(rested, int(tb.tunnels.Load()), now)
			if left > 0 {
				pause.Reset(pauseEvery)
			}
		}
	}
}

const sweepEvery = 5 * time.Second

func (tb *Table) sweep(now time.Time) {
	tb.Carriers.Sweep(now)
	tb.Carriers.Release(0, int(tb.tunnels.Load()), now)
	for _, t := range tb.allTunnels() {
		t.sweep(now)
	}
	if tb.isClient {
		return
	}
	for _, s := range tb.allSessions() {
		tb.dropUnused(s, now)
	}
}

// Abandon resets all tunnels and lets none in any more. The carriers have yet to
// tell the peer, which they do at once.
func (tb *Table) Abandon() {
	tb.mu.Lock()
	tb.closed = true
	tb.mu.Unlock()
	for _, t := range tb.allTunnels() {
		t.Reset(wire.Aborted)
	}
	for _, c := range tb.Carriers.All() {
		c.SkipOpening()
	}
}

// Close is Abandon, ends all carriers at once, and waits for the goroutines of
// tunnels and carriers. It must not be called from one of Events. Whoever called
// a carrier's Serve, or Sweep, waits for that.
func (tb *Table) Close() {
	tb.Abandon()
	tb.Carriers.Close()
	tb.tasks.Wait()
}

// Abort closes a stream so that its peer sees a reset: a tunnel that is given
// up must not look like one that ended.
func Abort(c net.Conn) {
	resetAtClose(c)
	c.Close()
}

// resetAtClose has whatever closes the stream from here on reset it, also the system
// when the process is killed: what is cut short must not look like an end.
func resetAtClose(c net.Conn) { setLinger(c, 0) }

// closeInOrder closes a stream that has ended both ways. What the system has not
// sent yet still goes.
func closeInOrder(c net.Conn) {
	setLinger(c, -1)
	c.Close()
}

func setLinger(c net.Conn, seconds int) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(seconds)
	}
}
