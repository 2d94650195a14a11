// Package tunnel carries streams: a Tunnel is one stream cut into sealed frames,
// which carriers take to the peer and which the peer acks. A Table holds one
// end's tunnels and its carriers, and is the one place that knows both.
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
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Table is all that one end holds: its tunnels and its carriers. It waits for
// the goroutines of both: after Close none is left. A zero Table is not usable;
// see NewTable. Its methods may be called by many goroutines.
type Table struct {
	Events
	Windows  *WindowBudget
	Memory   *MemoryQuota // an origin's; set before the first tunnel
	Carriers *carrier.Set // those that live, to be counted and listed
	tasks    *tasks.Group
	active   atomic.Int64 // when a stream's byte last moved, Unix ns
	moved    [kinds]counters

	mu      sync.RWMutex // guards the following; never held across I/O
	tunnels map[wire.TunnelID]*Tunnel
	over    closedTunnels
	pending []closure // oldest first
	closed  bool
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
	// Open handles a first frame at the origin: payload is the handshake's
	// first message. An error ends the carrier.
	Open func(c *carrier.Carrier, id wire.TunnelID, payload []byte) error
	// Ended is told of each tunnel that ends.
	Ended func(End)
	// Bulk is told once of a tunnel that has moved more than chat does.
	Bulk func(*Tunnel)
	// Draining is told that the origin wants a carrier's tunnels elsewhere.
	Draining func(*carrier.Carrier)
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

// NewTable makes an empty table whose windows grow within budget. It is an
// origin's if ev has Open, else a client's.
func NewTable(ev Events, budget *WindowBudget) *Table {
	tb := &Table{Events: ev, Windows: budget, tasks: tasks.NewGroup(), tunnels: map[wire.TunnelID]*Tunnel{}}
	tb.Carriers = carrier.NewSet((*handler)(tb), tb.tasks, tb.isClient())
	return tb
}

// isClient reports whether the table is a client's.
func (tb *Table) isClient() bool { return tb.Open == nil }

// NewCarrier makes a carrier of user's over t. Call its Serve or Start next.
func (tb *Table) NewCarrier(t transport.Transport, user uint32) *carrier.Carrier {
	return carrier.New(tb.Carriers, t, user)
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
		tb.over.put(t.ID, ack)
	}
}

// stray answers a frame for a tunnel that is not here.
func (tb *Table) stray(c *carrier.Carrier, h wire.Header, payload []byte) error {
	defer transport.PutBuffer(payload)
	switch h.Kind {
	case wire.Open:
		if tb.isClient() {
			return wire.ErrFrame
		}
		return tb.Open(c, h.Tunnel, payload)
	case wire.Data, wire.Fin, wire.Attach:
		tb.mu.RLock()
		ack, ok := tb.over.ack[h.Tunnel]
		tb.mu.RUnlock()
		if ok {
			c.PutControl(wire.Header{Kind: wire.Ack, Tunnel: h.Tunnel, Ack: ack})
			return nil
		}
		c.PutControl(wire.Header{Kind: wire.Reset, Tunnel: h.Tunnel, Seq: uint64(wire.Unknown)})
	}
	return nil
}

// Refuse resets a tunnel that never was. unix is the time here, for Clock.
func (tb *Table) Refuse(c *carrier.Carrier, id wire.TunnelID, r wire.Reason, unix int64) {
	c.PutControl(wire.Header{Kind: wire.Reset, Tunnel: id, Seq: uint64(r), Ack: uint64(max(unix, 0))})
}

// Tunnels is how many tunnels there are.
func (tb *Table) Tunnels() int {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return len(tb.tunnels)
}

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

func (tb *Table) allTunnels() []*Tunnel {
	tb.mu.RLock()
	defer tb.mu.RUnlock()
	return slices.Collect(maps.Values(tb.tunnels))
}

// Orphans lists the tunnels that have no carrier.
func (tb *Table) Orphans() []*Tunnel {
	return slices.DeleteFunc(tb.allTunnels(), func(t *Tunnel) bool { return t.Carrier() != nil })
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
	tb.Carriers.Sweep(now)
	for _, t := range tb.allTunnels() {
		t.sweep(now)
	}
}

// Abandon resets all tunnels and lets none in any more. The carriers have yet to
// tell the peer.
func (tb *Table) Abandon() {
	tb.mu.Lock()
	tb.closed = true
	tb.mu.Unlock()
	for _, t := range tb.allTunnels() {
		t.Reset(wire.Aborted)
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

// Move has the tunnels of one carrier of the client go on by another. Both live:
// nothing is sent again.
func (tb *Table) Move(from, to *carrier.Carrier) {
	for _, t := range tb.allTunnels() {
		if t.Carrier() == from {
			t.Attach(to, false)
		}
	}
}

// handler is the table as its carriers see it: a carrier.Handler.
type handler Table

func (h *handler) Deliver(c *carrier.Carrier, head wire.Header, payload []byte) error {
	tb := (*Table)(h)
	if t := tb.find(head.Tunnel); t != nil && t.user == c.User {
		return t.deliver(c, head, payload)
	}
	return tb.stray(c, head, payload)
}

func (h *handler) Draining(c *carrier.Carrier) {
	if h.Events.Draining != nil {
		h.Events.Draining(c)
	}
}

// Ended sees to it that the next carrier says what this one may not
// have said.
func (h *handler) Ended(c *carrier.Carrier, acks []wire.Header) {
	for _, ack := range acks {
		(*Table)(h).closeLater(closure{ack, c.OriginRef})
	}
}

func (h *handler) Active() time.Time { return (*Table)(h).Active() }

// Abort closes a stream so that its peer sees a reset: a tunnel that is given
// up must not look like one that ended.
func Abort(c net.Conn) {
	if l, ok := c.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.Close()
}
