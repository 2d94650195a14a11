package relay

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/netpoll"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Table is all that one end holds: its tunnels and its carriers. A zero Table
// is not usable; see NewTable.
type Table struct {
	Events
	Budget *Budget
	Kept   *Kept // an origin's; set before the first tunnel
	poller netpoll.Poller
	tasks  *tasks.Group
	turns  sync.Pool // of *turn; a table's own, as their channels may belong to a test's bubble

	mu       sync.RWMutex // guards the following; never held across I/O
	tunnels  map[wire.TunnelID]*Tunnel
	carriers map[*Carrier]struct{}
	byUser   map[uint32]int // how many of them
	ended    endings
	untold   []untold // oldest first
	closed   bool
	active   atomic.Int64  // when a stream's byte last moved, Unix ns
	sent     atomic.Uint64 // bytes read from streams
	received atomic.Uint64 // bytes written to streams
}

// Events are calls that a Table makes. None may block; nil ones are left out.
type Events struct {
	// Open handles a first frame at the origin: payload is the handshake's
	// first message. An error ends the carrier.
	Open func(c *Carrier, id wire.TunnelID, payload []byte) error
	// Ended is told of each tunnel that ends.
	Ended func(End)
	// Bulk is told once of a tunnel that has moved more than chat does.
	Bulk func(*Tunnel)
	// Leaving is told that the origin wants a carrier's tunnels elsewhere.
	Leaving func(*Carrier)
}

// End is what is known of a tunnel that ended.
type End struct {
	User     uint32 // at the origin
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

// NewTable makes an empty table whose windows grow within budget.
func NewTable(ev Events, budget *Budget) *Table {
	return &Table{
		Events:   ev,
		tasks:    tasks.NewGroup(),
		Budget:   budget,
		tunnels:  map[wire.TunnelID]*Tunnel{},
		carriers: map[*Carrier]struct{}{},
		byUser:   map[uint32]int{},
	}
}

func (tb *Table) find(id wire.TunnelID) *Tunnel {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return tb.tunnels[id]
}

// add returns false if the id is taken or the table is closed.
func (tb *Table) add(t *Tunnel) bool {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if _, taken := tb.tunnels[t.ID]; taken || tb.closed {
		return false
	}
	tb.tunnels[t.ID] = t
	return true
}

// remove forgets t; if it ended in order, its last ack is remembered for a
// while, because the peer may not have got it.
func (tb *Table) remove(t *Tunnel, inOrder bool, ack uint64) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	delete(tb.tunnels, t.ID)
	if inOrder {
		tb.ended.put(t.ID, ack)
	}
}

func (tb *Table) addCarrier(c *Carrier) {
	tb.mu.Lock()
	tb.carriers[c] = struct{}{}
	tb.byUser[c.User]++
	closed := tb.closed
	tb.mu.Unlock()
	if closed {
		c.fail()
	}
}

func (tb *Table) removeCarrier(c *Carrier) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if _, ok := tb.carriers[c]; !ok {
		return
	}
	delete(tb.carriers, c)
	if tb.byUser[c.User]--; tb.byUser[c.User] == 0 {
		delete(tb.byUser, c.User)
	}
}

func (tb *Table) leaving(c *Carrier) {
	if tb.Leaving != nil {
		tb.Leaving(c)
	}
}

// stray answers a frame for a tunnel that is not here.
func (tb *Table) stray(c *Carrier, h wire.Header, payload []byte) error {
	defer transport.PutBuffer(payload)
	switch h.Kind {
	case wire.Open:
		if tb.Open == nil {
			return wire.ErrFrame
		}
		return tb.Open(c, h.Tunnel, payload)
	case wire.Data, wire.Fin, wire.Attach:
		tb.mu.RLock()
		ack, ok := tb.ended.get(h.Tunnel)
		tb.mu.RUnlock()
		if ok {
			c.putControl(wire.Header{Kind: wire.Ack, Tunnel: h.Tunnel, Ack: ack})
			return nil
		}
		c.putControl(wire.Header{Kind: wire.Reset, Tunnel: h.Tunnel, Seq: uint64(wire.Unknown)})
	}
	return nil
}

// Refuse resets a tunnel that never was. unix is the time here, for Clock.
func (tb *Table) Refuse(c *Carrier, id wire.TunnelID, r wire.Reason, unix int64) {
	c.putControl(wire.Header{Kind: wire.Reset, Tunnel: id, Seq: uint64(r), Ack: uint64(max(unix, 0))})
}

// untold is the last word of a tunnel that had no carrier to say it: a Reset,
// or an Ack when all was in order.
type untold struct {
	h    wire.Header
	home any // of the tunnel's last carrier
}

// maxUntold bounds them. One that is dropped leaves the peer's end to expire.
const maxUntold = 1024

func (tb *Table) tellLater(u untold) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if len(tb.untold) == maxUntold {
		tb.untold = tb.untold[1:]
	}
	tb.untold = append(tb.untold, u)
}

// Untold lists the homes for which TellLate has something.
func (tb *Table) Untold() (homes []any) {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	for _, u := range tb.untold {
		if !slices.Contains(homes, u.home) {
			homes = append(homes, u.home)
		}
	}
	return homes
}

// TellLate tells the peer by c, a carrier to c.Home, how tunnels ended that had
// no carrier then, or one that died right after. It is for clients: an origin
// answers when it is asked.
func (tb *Table) TellLate(c *Carrier) {
	tb.mu.Lock()
	all := tb.untold
	tb.untold = nil
	for _, u := range all {
		if u.home != nil && u.home != c.Home {
			tb.untold = append(tb.untold, u)
		}
	}
	tb.mu.Unlock()
	for _, u := range all {
		if u.home == nil || u.home == c.Home {
			c.putControl(u.h)
		}
	}
}

// Tunnels is how many tunnels there are, Carriers how many carriers.
func (tb *Table) Tunnels() int {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return len(tb.tunnels)
}

// Carriers is how many carriers live.
func (tb *Table) Carriers() int {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return len(tb.carriers)
}

// Moved is how many bytes all streams were read and written for so far.
func (tb *Table) Moved() (sent, received uint64) { return tb.sent.Load(), tb.received.Load() }

// Users is how many users have a carrier.
func (tb *Table) Users() int {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return len(tb.byUser)
}

// CarriersOf is how many carriers of one user live.
func (tb *Table) CarriersOf(user uint32) int {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return tb.byUser[user]
}

// Active is when a stream's byte last moved in either direction.
func (tb *Table) Active() time.Time { return time.Unix(0, tb.active.Load()) }

func (tb *Table) allTunnels() []*Tunnel {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	all := make([]*Tunnel, 0, len(tb.tunnels))
	for _, t := range tb.tunnels {
		all = append(all, t)
	}
	return all
}

// Orphans lists the tunnels that have no carrier.
func (tb *Table) Orphans() []*Tunnel {
	return slices.DeleteFunc(tb.allTunnels(), func(t *Tunnel) bool { return t.Carrier() != nil })
}

// AllCarriers lists the carriers that live.
func (tb *Table) AllCarriers() []*Carrier {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	all := make([]*Carrier, 0, len(tb.carriers))
	for c := range tb.carriers {
		all = append(all, c)
	}
	return all
}

// Sweep ends, every few seconds until ctx ends, the tunnels that had no carrier
// for wire.HoldTunnel and the carriers on which nothing came for too long.
func (tb *Table) Sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			tb.sweep(now)
		}
	}
}

const sweepEvery = 5 * time.Second

func (tb *Table) sweep(now time.Time) {
	for _, c := range tb.AllCarriers() {
		if c.Quiet(now) > c.profile.Silent || c.sock.Overdue(now) > maxOverdue {
			c.fail()
		}
	}
	for _, t := range tb.allTunnels() {
		t.sweep(now)
	}
}

// Abandon resets all tunnels, of which it returns the number, and lets none in
// any more. The carriers have yet to tell the peer.
func (tb *Table) Abandon() int {
	tb.mu.Lock()
	tb.closed = true
	tb.mu.Unlock()
	all := tb.allTunnels()
	for _, t := range all {
		t.Reset(wire.Aborted)
	}
	return len(all)
}

// Close is Abandon, and ends all carriers at once.
func (tb *Table) Close() {
	tb.Abandon()
	for _, c := range tb.AllCarriers() {
		c.fail()
	}
	tb.poller.Close()
}

// endings remembers the last ack of tunnels that ended in order: the latest
// endingsKept of them.
type endings struct {
	ack  map[wire.TunnelID]uint64
	ring []wire.TunnelID
	next int
}

const endingsKept = 4096

func (e *endings) put(id wire.TunnelID, ack uint64) {
	if e.ack == nil {
		e.ack = map[wire.TunnelID]uint64{}
	}
	if len(e.ring) < endingsKept {
		e.ring = append(e.ring, id)
	} else {
		delete(e.ack, e.ring[e.next])
		e.ring[e.next] = id
		e.next = (e.next + 1) % endingsKept
	}
	e.ack[id] = ack
}

func (e *endings) get(id wire.TunnelID) (uint64, bool) {
	ack, ok := e.ack[id]
	return ack, ok
}

// Abort closes a stream so that its peer sees a reset: a tunnel that is given
// up must not look like one that ended.
func Abort(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}
