package tunnel

import (
	"net"
	"slices"
	"sync"
	"time"

	"culvert/internal/carrier"
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
	user  uint32
	began time.Time

	mu       sync.Mutex // guards the following; never held across I/O
	wake     sync.Cond  // on mu: room to read, or the end
	phase    phase
	session  *Session // nil: waiting
	id       uint32   // its number in the session
	stream   net.Conn // nil at the origin until Join
	reader   streamReader
	send     sendHalf
	recv     recvHalf
	paths    []*path   // carriers that take what is sent, or have frames of ours; the one in use last
	carriers int       // how many there were
	orphaned time.Time // since when none takes what is sent
	order    uint32    // of the last Use
	died     bool      // client: a carrier has died here, as each Use says from then on
	rtt      int64     // the shortest of its carriers' when it came to them, ns
	bulkTold bool      // Events.Bulk was told
	moved    uint64    // read and got at the last sweep
}

func newTunnel(tb *Table, user uint32, s wire.Service) *Tunnel {
	t := &Tunnel{Service: s, table: tb, user: user, began: time.Now()}
	t.wake.L = &t.mu
	t.send.limit, t.send.credit = wire.FirstWindow, firstCredit
	t.recv.promised, t.recv.win.size = wire.FirstWindow, wire.FirstWindow
	t.orphaned = t.began
	return t
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
	t.reader.open(stream, t.table.Carriers.Poller())
	if t.profile().GrowAt > 1 {
		t.recv.win.began = time.Now().UnixNano()
	}
	if !t.table.isClient {
		t.scheduleAck() // the client waits for a first frame
	}
	t.mu.Unlock()
	t.writeOut()
	t.startPump(0)
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
	t.table.Memory.Add(t.user, -t.send.drop()-t.recv.drop())
	t.table.Windows.give(t.recv.win.grown() + int64(t.send.credit-firstCredit))
	e.User, e.Service, e.Carriers, e.Took = t.user, t.Service, t.carriers, time.Since(t.began)
	e.Sent, e.Received = min(t.send.acked, t.send.read), t.recv.written
	s, id := t.session, t.id
	e.Session, e.ID = s, id
	t.wake.Broadcast()
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
	return t.recv.ackNow(t.id), said
}

func (t *Tunnel) closeStream(stream net.Conn, inOrder bool) {
	if stream != nil {
		if inOrder {
			stream.Close()
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
	expired := t.current() == nil && now.Sub(t.orphaned) > wire.HoldTunnel ||
		t.phase == opening && now.Sub(t.began) > wire.HoldTunnel
	if moved := t.send.read + t.recv.got; moved != t.moved {
		t.moved = moved
	} else {
		t.reader.releaseStack()
		t.giveCredit()
	}
	t.mu.Unlock()
	if expired {
		t.Reset(wire.Expired)
	}
}

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

// IsBulk reports whether the tunnel has moved more than chat does.
func (t *Tunnel) IsBulk() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.bulkTold
}

// noteBulk tells once that the tunnel moves more than chat does. t.mu is held.
func (t *Tunnel) noteBulk() {
	if !t.bulkTold && t.send.read+t.recv.got > t.profile().Bulk && t.table.Bulk != nil {
		t.bulkTold = true
		t.table.tasks.Go(func() { t.table.Bulk(t) })
	}
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

// pathOf is the tunnel's path by c; nil if there is none. t.mu is held.
func (t *Tunnel) pathOf(c *carrier.Carrier) *path {
	if i := slices.IndexFunc(t.paths, func(p *path) bool { return p.carrier == c }); i >= 0 {
		return t.paths[i]
	}
	return nil
}

// sendBy has what is sent go by c from now on, by it alone or by others too. It returns
// nil if c is dead. t.mu is held.
func (t *Tunnel) sendBy(c *carrier.Carrier, alone bool) *path {
	p, before := t.pathOf(c), t.current()
	if p == nil {
		p = &path{tunnel: t, carrier: c}
		c.Adopt(&p.slot, p)
		t.carriers++
		if r := int64(c.RTT()); r > 0 && (t.rtt == 0 || r < t.rtt) {
			t.rtt = r
		}
	}
	if c.Dead() { // and may have told its senders before this one was among them
		p.slot.Drop()
		t.bury(p)
		return nil
	}
	if before != nil && before != p {
		t.orphaned = time.Now() // c may turn out to be no good
	}
	if alone {
		for _, o := range t.paths {
			o.sends = o == p
		}
	}
	p.sends = true
	t.replacePump()
	t.paths = append(slices.DeleteFunc(t.paths, func(o *path) bool { return o == p }), p)
	if t.recv.ackDue {
		p.slot.ScheduleAck(t.recv.ackSoon)
	}
	t.wake.Broadcast()
	return p
}

// ready has the tunnel's carriers, all but one perhaps, ask for what is to be sent.
// t.mu is held.
func (t *Tunnel) ready(but *path) {
	n := t.send.unsent()
	for _, p := range t.paths {
		switch {
		case !p.sends || p == but:
		case n > 0, p.use, t.recv.ackDue && !t.recv.ackSoon, t.phase == opening && !p.opened:
			p.slot.Ready(max(n, 1))
		}
	}
}

// part forgets c if it has nothing of the tunnel any more.
func (t *Tunnel) part(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pathOf(c); p != nil && !p.sends && !t.send.uses(p) {
		p.slot.Drop()
		t.paths = slices.DeleteFunc(t.paths, func(o *path) bool { return o == p })
	}
}

// dropIdlePaths forgets, at the origin, the carriers that have nothing of ours any more.
// A client is to hear of the death of each that it has left: what the origin sent may
// die with it. t.mu is held.
func (t *Tunnel) dropIdlePaths() {
	if len(t.paths) < 2 || t.table.isClient {
		return
	}
	t.paths = slices.DeleteFunc(t.paths, func(p *path) bool {
		idle := !p.sends && !t.send.uses(p)
		if idle {
			p.slot.Drop()
		}
		return idle
	})
}

// Lost implements carrier.Sender.
func (p *path) Lost() {
	t := p.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.isOver() {
		return
	}
	if p.carrier.Dead() {
		t.bury(p)
	}
	t.send.lose(p, false)
	p.opened = false
	t.recv.ackDue, t.recv.ackSoon = true, false // the last may be lost, too
	if cur := t.current(); cur != nil && t.table.isClient {
		for _, o := range t.paths {
			o.sends = o == cur // a Use does not name the one of several that has died
		}
		cur.use = true
	}
	t.ready(nil)
}

// bury forgets a path whose carrier is dead, and which takes nothing more, even if it has
// been given a turn. That a carrier connected proves nothing of the origin at the gateway
// door: one that brought nothing does not prolong how long the tunnel is held. t.mu is held.
func (t *Tunnel) bury(p *path) {
	used := p.sends
	p.sends = false
	t.send.lose(p, false)
	t.paths = slices.DeleteFunc(t.paths, func(o *path) bool { return o == p })
	if used && t.current() == nil && (!p.carrier.Profile().Unproven || p.carrier.Heard()) {
		t.orphaned = time.Now()
	}
	t.died = true
}

// Fill implements carrier.Sender.
func (p *path) Fill(b []byte, turn carrier.Turn) ([]byte, int) {
	t := p.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	begin := len(b)
	if t.isOver() || t.phase == waiting || !p.sends {
		return b, 0
	}
	messages := p.carrier.Profile().Messages
	if t.phase == opening && (!p.opened || p.use && messages && !turn.Early) {
		b = t.appendOpen(b, p, turn.Room) // no Use may overtake it
	}
	if turn.Early {
		return b, 0
	}
	b = t.appendControl(b, p)
	if t.phase == opening && messages {
		return b, 0 // it waits for the peer's first frame
	}
	unsent, room := t.send.unsent(), turn.Room-(len(b)-begin)
	if turn.Bulk || unsent <= min(room, transport.SmallFrame) {
		whole := t.wholeParts(room, unsent)
		b = t.send.fill(b, t.id, p, whole)
		t.wake.Broadcast()
		if unsent = t.send.unsent(); whole < room {
			unsent = 0 // the peer's next ack is near, and brings more to go with it
		}
	}
	return b, unsent
}

// wholeParts is room, or less where the peer's window ends before the message does: then
// the message is whole parts, as it is paid for by the part, and what is left goes with
// what follows. By then the peer has more than half of a window, which it acks at once.
// t.mu is held.
func (t *Tunnel) wholeParts(room, unsent int) int {
	if m := t.profile(); !m.Messages || t.send.state != sendOpen || t.send.limit-t.send.read >= m.MinRoom {
		return room
	}
	begun := wire.MaxTextBody - room
	whole := wire.WholeParts(begun + unsent + 2*wire.DataHead)
	if whole <= begun+leastPart {
		return room
	}
	return min(room, whole-begun)
}

// leastPart is the least for which a part of a message is filled.
const leastPart = 1 << 10

// appendOpen begins the tunnel at the origin, with what of the stream is there.
// t.mu is held.
func (t *Tunnel) appendOpen(b []byte, p *path, room int) []byte {
	f := wire.Frame{Kind: wire.Open, Tunnel: t.id, Body: wire.AppendService(nil, t.Service)}
	n := min(uint64(wire.MaxEarly), uint64(max(room-len(f.Body)-wire.DataHead, 0)), t.send.read)
	f.Body = t.send.copy(f.Body, 0, n)
	p.opened = true
	t.send.sent = max(t.send.sent, n)
	t.send.lost = since(t.send.lost, n)
	if n > 0 {
		t.send.note(span{0, n, p})
	}
	t.wake.Broadcast()
	return f.Append(b)
}

// appendControl appends what is to be said beside the stream. t.mu is held.
func (t *Tunnel) appendControl(b []byte, p *path) []byte {
	if p.use {
		p.use = false
		t.order++
		f := wire.Frame{Kind: wire.Use, Tunnel: t.id, Num: t.order}
		if !t.shares(p) {
			f.Code |= wire.Alone
		}
		if t.died {
			f.Code |= wire.Lost
		}
		b = f.Append(b)
	}
	if t.recv.ackDue {
		f := t.recv.ackNow(t.id)
		b = f.Append(b)
		t.reader.rest()
	}
	return b
}

// Attach makes c, a carrier of the client's, the one that takes what is sent. A tunnel
// that waits begins in c's session. lost says that the carrier before is dead.
func (t *Tunnel) Attach(c *carrier.Carrier, lost bool) { t.attach(c, lost, true) }

// Add has c take what is sent beside the carriers that do. When one of them dies the one
// that was added last goes on alone.
func (t *Tunnel) Add(c *carrier.Carrier) { t.attach(c, false, false) }

func (t *Tunnel) attach(c *carrier.Carrier, lost, alone bool) {
	s := SessionOf(c)
	if s == nil || !s.begin(t) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.current(); t.isOver() || t.session != s || p != nil && p.carrier == c && !(alone && t.shares(p)) {
		return
	}
	t.died = t.died || lost || t.current() == nil && t.carriers > 0
	if p := t.sendBy(c, alone); p != nil {
		p.use = t.carriers > 1
		t.recv.ackDue = t.recv.ackDue || p.use // the last may have gone by a carrier that is dead
	}
	t.ready(nil)
}

// shares reports whether others than p take what is sent. t.mu is held.
func (t *Tunnel) shares(p *path) bool {
	return slices.ContainsFunc(t.paths, func(o *path) bool { return o.sends && o != p })
}

// anew has a client's tunnel of which the origin has said nothing begin once more: the
// origin has forgotten the session. It returns false if the tunnel is beyond that.
func (t *Tunnel) anew() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != opening || t.send.acked > 0 {
		return t.isOver()
	}
	t.send.lose(nil, true)
	for _, p := range t.paths {
		p.opened = false
	}
	t.ready(nil)
	return true
}
