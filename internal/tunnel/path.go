package tunnel

import (
	"slices"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/pace"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// path is a carrier that takes, or took, what a tunnel sends: the tunnel as that carrier
// sees it. Tunnel.mu guards it.
type path struct {
	tunnel  *Tunnel
	carrier *carrier.Carrier
	slot    carrier.Slot
	sends   bool   // new frames go by it
	awaited bool   // client: it will take new frames, and its first record says so
	alone   bool   // client: a Use says that no other takes any
	opened  bool   // client: the Open frame went by it
	use     bool   // client: it is to say Use
	acked   bool   // an Ack has come by it
	lost    int64  // client: when another's death had it take no more, Unix ns; 0: it was not so
	told    uint32 // client: of so many deaths it said Lost
	known   uint32 // client: of so many it need not: another has
	blind   uint32 // client: bytes that may go before the origin has said by it what it has; 0: any
}

// blindly is how much a client sends again by a new carrier before it knows what of that has
// come by the one that died: where a carrier passes little, the same would go for ever. Beyond passesMuch it does
// not, and blindlyMuch is what a young TCP has in flight.
const (
	blindly, blindlyMuch = 2 << 10, 12 << 10
	passesMuch           = 256 << 10
)

// sendsInDoubt lists the carriers in doubt that take what is sent.
func (t *Tunnel) sendsInDoubt() (all []*carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.paths {
		if p.sends && p.carrier.Doubted() {
			all = append(all, p.carrier)
		}
	}
	return all
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
	for _, o := range t.paths {
		o.alone = false
	}
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
		t.orphaned = carrier.InstantOf(time.Now()) // c may turn out to be no good
	}
	if alone {
		for _, o := range t.paths {
			o.sends = o == p
		}
	}
	p.sends, p.awaited, p.alone, p.lost = true, false, alone, 0
	t.replacePump()
	t.paths = append(slices.DeleteFunc(t.paths, func(o *path) bool { return o == p }), p)
	if t.recv.ackDue {
		within, _ := t.ackWithin(c.Profile())
		p.slot.ScheduleAck(within)
	}
	t.wakeAll()
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
			p.slot.Ready(n)
		}
	}
}

// part forgets c if it has nothing of the tunnel any more.
func (t *Tunnel) part(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pathOf(c)
	if p != nil && c.AllCame() {
		t.send.came(p)
	}
	if p != nil && !p.sends && !t.send.uses(p) {
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
	if p.carrier.Dead() && p.carrier.AllCame() {
		t.send.came(p)
	}
	if p.carrier.Dead() {
		t.bury(p)
	}
	t.send.lose(p, false)
	p.opened, p.use = false, p.use || p.awaited || p.sends && t.table.isClient
	t.recv.ackDue, t.recv.ackSoon = true, false // the last may be lost, too
	if cur := t.current(); cur != nil && t.table.isClient && p.carrier.Dead() {
		cur.use = true
		if !p.awaited { // else the others were sent by before, and are
			t.useAlone(cur)
		}
	}
	t.ready(nil)
}

// useAlone has p take alone what several did: a Use does not name the one of them that has died. Regain has the
// others do so again. t.mu is held.
func (t *Tunnel) useAlone(p *path) {
	for _, o := range t.paths {
		if o != p && o.sends {
			o.sends, o.lost = false, time.Now().UnixNano()
		}
	}
	p.sends, p.alone = true, true
}

// Spent implements carrier.Sender.
func (p *path) Spent() { p.tunnel.leave(p.carrier) }

// leave has the tunnel go by others than c from now on, if it has any.
func (t *Tunnel) leave(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pathOf(c)
	if t.isOver() || p == nil || !t.yield(p) {
		return
	}
	t.ready(nil)
	t.dropIdlePaths()
	t.wakeAll()
}

// yield has others take what p did, and reports whether there are any. t.mu is held.
func (t *Tunnel) yield(p *path) bool {
	if !p.sends || !t.shares(p) {
		return false
	}
	p.sends = false
	t.paths = append([]*path{p}, slices.DeleteFunc(t.paths, func(o *path) bool { return o == p })...)
	return true
}

// suspect has what went by c, which may be dead, and was not acked go again by others, and
// the origin do the same.
func (t *Tunnel) suspect(c *carrier.Carrier) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.pathOf(c)
	if t.isOver() || p == nil {
		return
	}
	t.yield(p)
	cur := t.current()
	if cur == nil || p == cur {
		return
	}
	if t.send.lose(p, false) && !cur.carrier.Profile().Messages {
		if cur.blind = blindly; c.Passed() > passesMuch {
			cur.blind = blindlyMuch
		}
	}
	p.opened = false
	t.deaths, cur.use = t.deaths+1, true
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
		t.orphaned = carrier.InstantOf(time.Now())
	}
	if !p.carrier.AllCame() || !p.carrier.Spent() {
		t.deaths++
	}
}

// Fill implements carrier.Sender.
func (p *path) Fill(b []byte, turn carrier.Turn) ([]byte, int) {
	t := p.tunnel
	t.mu.Lock()
	defer t.mu.Unlock()
	begin := len(b)
	if t.isOver() || t.phase == waiting || !p.sends && !(p.awaited && p.use) {
		return b, 0
	}
	if p.awaited {
		due := t.recv.ackDue
		b = t.appendControl(b, p)
		t.recv.ackDue = due // it goes by a carrier that is there, too
		return b, 0
	}
	messages := p.carrier.Profile().Messages
	if t.phase == opening && (!p.opened || p.use && messages && !turn.Early) {
		b = t.appendOpen(b, p, p.blindRoom(turn.Room)) // no Use may overtake it
		p.sentBlind(len(b) - begin)
	}
	if turn.Early {
		return b, t.send.unsent()
	}
	b = t.appendControl(b, p)
	if t.phase == opening && messages {
		return b, 0 // it waits for the peer's first frame
	}
	unsent, room := t.send.unsent(), turn.Room-(len(b)-begin)
	if turn.Bulk || unsent <= min(room, transport.SmallFrame) {
		if unsent > 0 && !turn.Bulk && t.Service.Kind == wire.Chat {
			p.carrier.Talk()
		}
		return p.fillBytes(b, room)
	}
	return b, unsent
}

// fillBytes appends frames of the stream, of room bytes at most. t.mu is held.
func (p *path) fillBytes(b []byte, room int) (_ []byte, more int) {
	t, begin := p.tunnel, len(b)
	whole := p.blindRoom(t.wholeParts(room, t.send.unsent()))
	b = t.send.fill(b, t.id, p, whole)
	t.wakeAll()
	p.sentBlind(len(b) - begin)
	if whole < room { // the peer's next ack is near, and brings more to go with it
		return b, 0
	}
	return b, t.send.unsent()
}

// blindRoom is room, or less while the origin has not said what it has. t.mu is held.
func (p *path) blindRoom(room int) int {
	if p.blind > 0 {
		return min(room, int(p.blind))
	}
	return room
}

// sentBlind counts what went blindly: of the last byte, nothing is left over. t.mu is held.
func (p *path) sentBlind(n int) {
	if p.blind > 0 {
		p.blind -= min(p.blind-1, uint32(n))
	}
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
	t.wakeAll()
	return f.Append(b)
}

// appendControl appends what is to be said beside the stream. t.mu is held.
func (t *Tunnel) appendControl(b []byte, p *path) []byte {
	if p.use {
		b = t.appendUse(b, p)
	}
	if t.recv.ackDue {
		f := t.recv.ackNow(t.id, t.window())
		b = f.Append(b)
		t.reader.rest()
	}
	return b
}

// appendUse names p's carrier as one to send by. t.mu is held.
func (t *Tunnel) appendUse(b []byte, p *path) []byte {
	p.use = false
	t.order++
	f := wire.Frame{Kind: wire.Use, Tunnel: t.id, Num: t.order}
	if p.alone || !p.awaited && !t.shares(p) && !t.awaits(p) {
		f.Code |= wire.Alone
	}
	p.told = t.deaths
	if t.deaths > max(t.healed, p.known) {
		f.Code |= wire.Lost
	}
	return f.Append(b)
}

// awaits reports whether others than p are to take what is sent. t.mu is held.
func (t *Tunnel) awaits(p *path) bool {
	return slices.ContainsFunc(t.paths, func(o *path) bool { return o.awaited && o != p })
}

// shares reports whether others than p take what is sent. t.mu is held.
func (t *Tunnel) shares(p *path) bool {
	return slices.ContainsFunc(t.paths, func(o *path) bool { return o.sends && o != p })
}

// pathWindow is what may be in flight over one of a client's paths.
type pathWindow struct {
	number byte
	*pace.Window
}

// Window implements carrier.Handler.
func (s *Session) Window(path byte, trip time.Duration) *pace.Window {
	s.pathsMu.Lock()
	defer s.pathsMu.Unlock()
	i := slices.IndexFunc(s.paths, func(p pathWindow) bool { return p.number == path })
	if i < 0 {
		i = len(s.paths)
		s.paths = append(s.paths, pathWindow{path, pace.New(trip)})
	}
	return s.paths[i].Window
}
