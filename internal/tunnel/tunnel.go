package tunnel

import (
	"net"
	"slices"
	"sync"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/share"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// phase is where a tunnel stands as a whole; its halves have states of their own.
//
//	waiting ─ Attach ─▶ opening ─ the peer's first frame ─▶ open ─ both halves closed ─▶ closed
//	    │    (client)      │                    (origin: at once) │
//	    └──────────────────┴────────────── Reset ─────────────────┴──────────────────▶ reset
type phase byte

const (
	waiting phase = iota // client: it has had no carrier, and no number
	opening              // client: nothing has come from the origin yet
	open                 // the peer has it
	closed               // both directions have ended in order
	reset                // it was given up, here or there
)

// Tunnel is one stream crossing the relay in frames; the same type at both ends. It
// owns its stream. It outlives its carriers: what the peer has not acked is kept and
// framed anew for the next.
type Tunnel struct {
	Service wire.Service

	table *Table
	began carrier.Instant

	mu       sync.Mutex // guards the following; never held across I/O
	wake     *sync.Cond // on mu: room to read, or the end; nil: nobody has waited yet
	phase    phase
	bulkTold bool         // Events.Bulk was told
	guest    *share.Guest // client: its place among those of other machines
	shown    int64        // when it has kept that last, Unix ns
	session  *Session     // nil: waiting
	id       uint32       // its number in the session
	order    uint32       // of the last Use
	stream   net.Conn     // nil at the origin until Join
	reader   streamReader
	send     sendHalf
	recv     recvHalf
	paths    []*path         // carriers that take what is sent, or have frames of ours; the one in use last
	orphaned carrier.Instant // since when none takes what is sent
	aloneAt  uint32          // origin: of the last that named a carrier alone, or said Lost
	deaths   uint32          // client: carriers that have died here, as each Use says
	healed   uint32          // client: of those, what the origin has heard of
	carriers uint32          // how many there were
	rtt      int64           // the shortest of its carriers' when it came to them, ns
	burst    burst           // client: of late
	moved    uint64          // read and got at the last sweep
}

func newTunnel(tb *Table, s wire.Service) *Tunnel {
	t := &Tunnel{Service: s, table: tb, began: carrier.InstantOf(time.Now())}
	t.send.limit, t.send.credit = wire.FirstWindow, firstCredit
	t.recv.promised, t.recv.win.size = wire.FirstWindow, wire.FirstWindow
	t.orphaned = t.began
	return t
}

// wait returns once there may be room to read, or the tunnel has ended. t.mu is held.
func (t *Tunnel) wait() {
	if t.wake == nil {
		t.wake = sync.NewCond(&t.mu)
	}
	t.wake.Wait()
}

// wakeAll ends all waits. t.mu is held.
func (t *Tunnel) wakeAll() {
	if t.wake != nil {
		t.wake.Broadcast()
	}
}

// isOver reports that nothing more will happen. t.mu is held.
func (t *Tunnel) isOver() bool { return t.phase >= closed }

// Join gives the tunnel its stream, which it owns from here on, and starts it. It
// returns false if the tunnel has ended.
func (t *Tunnel) Join(stream net.Conn) bool {
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		Abort(stream)
		return false
	}
	t.stream = stream
	resetAtClose(stream)
	t.reader.open(stream, t.table.Carriers.Poller())
	if t.profile().GrowAt > 1 {
		t.recv.win.began = time.Now().UnixNano()
	}
	if !t.table.isClient {
		t.scheduleAck() // the client waits for a first frame
	}
	t.mu.Unlock()
	t.writeOut()
	t.table.tasks.Brief(func() { t.pump(0) })
	return true
}

// Reset gives the tunnel up: the stream is reset and the peer told why.
func (t *Tunnel) Reset(why wire.Reason) { t.end(reset, End{Reason: why}) }

// end is the one way out, which is gone once.
func (t *Tunnel) end(to phase, e End) {
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		return
	}
	t.phase = to
	word, said := t.lastWord(e)
	stream, paths, cur := t.stream, t.paths, t.current()
	t.paths = nil
	t.guest.Leave()
	t.keep(-t.send.drop() - t.recv.drop())
	t.accounts().windows.Give(t.recv.win.grown() + int64(t.send.credit-firstCredit))
	e.Service, e.Carriers, e.Took = t.Service, int(t.carriers), t.Age()
	e.Sent, e.Received = min(t.send.acked, t.send.read), t.recv.written
	s, id := t.session, t.id
	if s != nil {
		e.User = s.User
	}
	e.Session, e.ID = s, id
	t.wakeAll()
	t.mu.Unlock()

	var by *carrier.Carrier
	if cur != nil {
		by = cur.carrier
	}
	if s == nil {
		t.table.forget(t)
		t.table.tunnels.Add(-1)
	} else {
		s.ended(id, word, said, by)
	}
	for _, p := range paths {
		p.slot.Drop()
	}
	t.closeStream(stream, to == closed)
	if t.table.Ended != nil {
		t.table.Ended(e)
	}
}

// lastWord is what the peer must know at the end, and whether it was said; a tunnel that
// the peer gave up needs none. t.mu is held.
func (t *Tunnel) lastWord(e End) (word wire.Frame, said bool) {
	switch {
	case e.FromPeer:
		return wire.Frame{}, true
	case e.Reason != 0:
		return wire.Frame{Kind: wire.Reset, Tunnel: t.id, Code: byte(e.Reason)}, false
	}
	said = t.recv.told == t.recv.written
	return t.recv.ackNow(t.id, t.window()), said
}

func (t *Tunnel) closeStream(stream net.Conn, inOrder bool) {
	if stream != nil {
		if inOrder {
			closeInOrder(stream)
		} else {
			Abort(stream)
		}
	}
	t.reader.cancel()
}

// settle ends the tunnel if both directions have ended in order.
func (t *Tunnel) settle() {
	t.mu.Lock()
	over := t.phase == open && t.send.state == sendClosed && t.recv.state == recvClosed
	t.mu.Unlock()
	if over {
		t.end(closed, End{})
	}
}

// sweep expires a tunnel without a carrier, or one whose Open stays unanswered, and has
// an idle one give back what it can.
func (t *Tunnel) sweep(now time.Time) {
	t.mu.Lock()
	if t.isOver() {
		t.mu.Unlock()
		return
	}
	forsaken := t.isForsaken(now)
	expired := t.current() == nil && t.orphaned.Until(now) > wire.HoldTunnel ||
		t.phase == opening && t.began.Until(now) > wire.HoldTunnel
	if moved := t.send.read + t.recv.got; moved != t.moved {
		t.moved = moved
	} else {
		t.reader.releaseStack()
		t.giveCredit()
		t.send.rest()
	}
	t.mu.Unlock()
	switch {
	case forsaken:
		t.Reset(wire.Aborted)
	case expired:
		t.Reset(wire.Expired)
	}
}

// forsakenAfter is how long a tunnel may wait for a carrier whose app says no more.
const forsakenAfter = 3 * time.Second

// isForsaken reports that nobody waits for what the tunnel leads to: the app has ended
// its stream before it heard a byte, and there is no carrier. t.mu is held.
func (t *Tunnel) isForsaken(now time.Time) bool {
	return t.send.state != sendOpen && t.isUnbegun() && t.current() == nil && t.orphaned.Until(now) > forsakenAfter
}

// isUnbegun reports that no origin has said anything of a client's tunnel. t.mu is held.
func (t *Tunnel) isUnbegun() bool { return t.phase == waiting || t.isUnheard() }

// current is the path in use, nil if there is none. t.mu is held.
func (t *Tunnel) current() *path {
	if n := len(t.paths); n > 0 && t.paths[n-1].sends {
		return t.paths[n-1]
	}
	return nil
}

// profile is that of the tunnel's carrier. t.mu is held.
func (t *Tunnel) profile() *transport.Profile {
	if p := t.current(); p != nil {
		return p.carrier.Profile()
	}
	return transport.StreamProfile()
}

// IsOver reports whether the tunnel has ended.
func (t *Tunnel) IsOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.isOver()
}

// Moved is how many bytes the tunnel has read and got.
func (t *Tunnel) Moved() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.send.read + t.recv.got
}

// IsBulk reports whether the tunnel has moved more than chat does.
func (t *Tunnel) IsBulk() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bulkTold
}

// Age is for how long the tunnel has been wanted.
func (t *Tunnel) Age() time.Duration { return t.began.Until(time.Now()) }

// noteBulk tells once that the tunnel moves more than chat does. t.mu is held.
func (t *Tunnel) noteBulk() {
	if !t.bulkTold && t.table.Bulk != nil && t.movesBulk(t.send.read+t.recv.got) {
		t.bulkTold = true
		t.table.tasks.Go(func() { t.table.Bulk(t) })
	}
}

// A tunnel that moves budgetedBulk within budgetedFor is bulk where carriers bring little: more than
// several of them do, one after another. Chat comes to as much in time, and is none.
const (
	budgetedBulk = 32 << 10
	budgetedFor  = 10 * time.Second
	// calmBulk is what such a one moves at most in that time, or somewhat more, that is bulk no more.
	calmBulk = budgetedBulk / 2
)

// movesBulk reports whether a tunnel that has moved so much is bulk. t.mu is held.
func (t *Tunnel) movesBulk(moved uint64) bool {
	p := t.current()
	if p == nil || !p.carrier.Budgeted() {
		return moved > t.profile().Bulk
	}
	if age := t.Age(); age-t.burst.began > budgetedFor {
		t.burst.began, t.burst.moved = age, moved
	}
	return moved-t.burst.moved > budgetedBulk
}

// Calm reports whether a tunnel that was bulk where carriers bring little is that no more, as it has moved as little as chat
// for a while: what had waited made it bulk, perhaps.
func (t *Tunnel) Calm() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	age, moved := t.Age(), t.send.read+t.recv.got
	if age-t.burst.began <= budgetedFor {
		return false
	}
	isCalm := moved-t.burst.moved <= calmBulk
	t.burst = burst{age, moved}
	t.bulkTold = t.bulkTold && !isCalm
	return isCalm
}

// burst is what a tunnel moves of late where carriers bring little.
type burst struct {
	began time.Duration // the age of the tunnel then
	moved uint64        // until then
}

// Session is what the tunnel belongs to; nil while it has had no carrier.
func (t *Tunnel) Session() *Session {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.session
}

// Carrier is what takes the tunnel's frames now, or nil.
func (t *Tunnel) Carrier() *carrier.Carrier {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.current(); p != nil {
		return p.carrier
	}
	return nil
}

// roundTrip is the shortest one known: that of a carrier made while others
// were busy is too long. 0 means that none is known. t.mu is held.
func (t *Tunnel) roundTrip() time.Duration {
	p := t.current()
	if p == nil {
		return 0
	}
	now := p.carrier.RTT()
	if t.rtt > 0 && (now == 0 || t.rtt < int64(now)) {
		return time.Duration(t.rtt)
	}
	return now
}

// Attach makes c, a carrier of the client's, the one that takes what is sent. A tunnel
// that waits begins in c's session. lost says that the carrier before is dead.
func (t *Tunnel) Attach(c *carrier.Carrier, lost bool) { t.attach(c, lost, true) }

// Add has c take what is sent beside the carriers that do. When one of them dies the one
// that was added last goes on alone.
func (t *Tunnel) Add(c *carrier.Carrier) { t.attach(c, false, false) }

// Await has a client's c, which cannot be written to yet, say in its first record that it takes what
// is sent, too. Add follows when it can.
func (t *Tunnel) Await(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isOver() || t.phase != open || t.session != SessionOf(c) || t.pathOf(c) != nil {
		return
	}
	p := &path{tunnel: t, carrier: c, awaited: true, use: true}
	c.Adopt(&p.slot, p)
	t.carriers++
	t.paths = slices.Insert(t.paths, 0, p)
	p.slot.Ready(0)
}

func (t *Tunnel) attach(c *carrier.Carrier, lost, alone bool) {
	s := SessionOf(c)
	if t.giveUpForsaken() || s == nil || !s.begin(t) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.current(); t.isOver() || t.session != s || p != nil && p.carrier == c && !(alone && t.shares(p)) {
		return
	}
	if lost {
		t.deaths++
	}
	if p := t.sendBy(c, alone); p != nil {
		p.use = t.carriers > 1
		if len(t.send.lost) > 0 && !c.Profile().Messages {
			p.blind = blindly
		}
		t.recv.ackDue = t.recv.ackDue || p.use // the last may have gone by a carrier that is dead
	}
	t.ready(nil)
}

// giveUpForsaken ends the tunnel if nobody waits for it.
func (t *Tunnel) giveUpForsaken() bool {
	t.mu.Lock()
	forsaken := t.isForsaken(time.Now())
	t.mu.Unlock()
	if forsaken {
		t.Reset(wire.Aborted)
	}
	return forsaken
}

// isUnheard reports that the origin has said nothing of a client's tunnel. t.mu is held.
func (t *Tunnel) isUnheard() bool { return t.phase == opening && t.send.acked == 0 }

// anew has a client's tunnel of which the origin has said nothing begin once more: the
// origin has forgotten the session. It returns false if the tunnel is beyond that.
func (t *Tunnel) anew() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isUnheard() {
		return t.isOver()
	}
	t.send.lose(nil, true)
	for _, p := range t.paths {
		p.opened = false
	}
	t.ready(nil)
	return true
}
