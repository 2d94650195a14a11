package tunnel

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/carrier"
	"culvert/internal/session"
	"culvert/internal/share"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Session is the tunnels of one session and, as a carrier.Handler, what their carriers
// report to. No frame reaches another session's.
type Session struct {
	User   uint32
	paying atomic.Bool // for memory

	table  *Table
	client *session.Client  // at the client
	agreed *session.Session // at the origin

	accounts accounts // at the origin

	opening sync.Mutex // held while a tunnel begins at the origin; taken before mu

	owedMu sync.Mutex               // guards the following
	owed   []*share.Account[uint32] // for whom tunnels are to end

	pathsMu sync.Mutex // guards the following; taken after all others
	paths   []pathWindow

	mu       sync.Mutex // guards the following; never held across I/O; taken before Tunnel.mu and Table.mu
	tunnels  []*Tunnel  // by their numbers
	last     uint32     // client: the number of the tunnel that began last
	carriers int32
	givenUp  bool               // client: no tunnel begins any more
	over     []over             // how tunnels ended, the oldest first
	charged  []*carrier.Carrier // those that the user is charged with
	unused   carrier.Instant    // since when it has had neither carrier nor tunnel

	given carrier.Instant // when it was given to a carrier last, which may not have joined yet; Table.mu guards it
}

// over is the last word of a tunnel: an Ack when all was in order, else a Reset.
type over struct {
	word wire.Frame
	by   *carrier.Carrier // took it, or had the tunnel last
	due  bool             // client: it is to be said, perhaps once more
}

// maxOver bounds the endings that a session remembers. When one is forgotten, the peer's
// end of that tunnel expires.
const maxOver = 256

func (tb *Table) newSession(user uint32) *Session {
	s := &Session{User: user, table: tb, unused: carrier.InstantOf(time.Now())}
	if !tb.isClient {
		s.accounts = tb.Shares.open(user, s)
	}
	return s
}

// NewSession makes a client's session. GiveUp ends it.
func (tb *Table) NewSession(c *session.Client) *Session {
	s := tb.newSession(0)
	s.client = c
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.sessions[s] = struct{}{}
	return s
}

// Party makes a client's end of a carrier, for NewCarrier.
func (s *Session) Party(door session.Door, token wire.Token) *session.ClientCarrier {
	return s.client.Carrier(door, token)
}

// NewCarrier makes a carrier of a client's session, which Party has made an end for. Call its Serve or Start next.
func (s *Session) NewCarrier(t transport.Transport, p *session.ClientCarrier) *carrier.Carrier {
	return carrier.New(s.table.Carriers, t, clientParty{p, s}, s.User)
}

// Agrees reports whether a client's session has a generation, by which carriers join.
func (s *Session) Agrees() bool { return s.client.Agrees() }

// Told gives a client's carrier, before it is served, the challenge that its origin has said elsewhere.
func Told(c *carrier.Carrier, challenge [16]byte) {
	if p, ok := c.Party().(clientParty); ok {
		p.Told(challenge)
	}
}

// SessionOf is what a carrier belongs to; nil while that is not known.
func SessionOf(c *carrier.Carrier) *Session {
	if p, ok := c.Party().(clientParty); ok {
		return p.of
	}
	s, _ := c.Handler().(*Session)
	return s
}

// begin gives a tunnel that waits its number; false if it belongs to another session, or
// this one was given up.
func (s *Session) begin(t *Tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.phase != waiting {
		return t.session == s
	}
	if s.givenUp {
		return false
	}
	s.last++
	t.phase, t.session, t.id = opening, s, s.last
	s.add(t)
	s.table.forget(t)
	return true
}

// TakeBack has the tunnels of which the origin has said nothing wait again, to begin in
// another session: this one's origin is not found. One that has begun there ends for want
// of a carrier.
func (s *Session) TakeBack() {
	for _, t := range s.All() {
		s.takeBack(t)
	}
}

func (s *Session) takeBack(t *Tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.isUnheard() || !s.table.wait(t) {
		return
	}
	s.remove(t.id)
	for _, p := range t.paths {
		p.slot.Drop()
		p.sends = false // it may be given a turn all the same
	}
	t.send.lose(nil, true)
	t.paths, t.phase, t.session, t.id, t.orphaned = nil, waiting, nil, 0, carrier.InstantOf(time.Now())
}

func (s *Session) find(id uint32) *Tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.place(id); ok {
		return s.tunnels[i]
	}
	return nil
}

// place is where the tunnel of a number is, or belongs. s.mu is held, as for those that follow.
func (s *Session) place(id uint32) (i int, ok bool) {
	return slices.BinarySearchFunc(s.tunnels, id, func(t *Tunnel, id uint32) int { return cmp.Compare(t.id, id) })
}

func (s *Session) add(t *Tunnel) {
	i, _ := s.place(t.id)
	s.tunnels = slices.Insert(s.tunnels, i, t)
}

func (s *Session) remove(id uint32) {
	if i, ok := s.place(id); ok {
		s.tunnels = slices.Delete(s.tunnels, i, i+1)
	}
}

// All lists the tunnels.
func (s *Session) All() []*Tunnel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tunnels)
}

// Tunnels is how many tunnels the session has.
func (s *Session) Tunnels() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tunnels)
}

// Orphans lists the tunnels that no carrier takes anything of.
func (s *Session) Orphans() []*Tunnel {
	return slices.DeleteFunc(s.All(), func(t *Tunnel) bool { return t.Carrier() != nil })
}

// GiveUp resets all tunnels and forgets the session, at the client.
func (s *Session) GiveUp(why wire.Reason) {
	s.mu.Lock()
	s.givenUp = true
	s.mu.Unlock()
	for _, t := range s.All() {
		t.Reset(why)
	}
	s.table.dropSession(s)
}

// giveWay ends all, as another session of the user's has the place of this one at the origin.
func (s *Session) giveWay() {
	for _, c := range s.table.Carriers.All() {
		if SessionOf(c) == s {
			c.Close()
		}
	}
	for _, t := range s.All() {
		t.Reset(wire.Busy)
	}
}

// moved notes that a stream's byte moved. It does nothing at the client.
func (s *Session) moved(now int64) {
	if s != nil && s.agreed != nil {
		s.agreed.Moved(now)
	}
}

// living counts a tunnel that begins or ends.
func (s *Session) living(n int64) {
	s.table.tunnels.Add(n)
	if s.agreed != nil {
		s.agreed.Living(n)
	}
}

// Deliver implements carrier.Handler.
func (s *Session) Deliver(c *carrier.Carrier, f wire.Frame, isEarly bool, whole []byte) (kept bool, err error) {
	if t := s.find(f.Tunnel); t != nil {
		return t.deliver(c, f, isEarly, whole)
	}
	if f.Kind == wire.Open {
		return s.open(c, f, isEarly, whole)
	}
	s.stray(c, f)
	return false, nil
}

// open begins a tunnel at the origin, once, however many carriers bring it at a time.
func (s *Session) open(c *carrier.Carrier, f wire.Frame, isEarly bool, whole []byte) (kept bool, err error) {
	if s.table.isClient {
		return false, wire.ErrFrame
	}
	svc, early, err := wire.ParseService(f.Body)
	if err != nil || len(early) > wire.MaxEarly {
		return false, wire.ErrFrame
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if t := s.find(f.Tunnel); t != nil { // another carrier's was a moment earlier
		return t.deliver(c, f, isEarly, whole)
	}
	if !s.agreed.Begin(f.Tunnel) {
		s.stray(c, f)
		return false, nil
	}
	s.table.Open(c, s, f.Tunnel, svc, early)
	return false, nil
}

// stray answers a frame for a tunnel that is not here.
func (s *Session) stray(c *carrier.Carrier, f wire.Frame) {
	switch f.Kind {
	case wire.Ack, wire.Reset:
		return
	}
	s.mu.Lock()
	i := slices.IndexFunc(s.over, func(o over) bool { return o.word.Tunnel == f.Tunnel })
	word := wire.Frame{Kind: wire.Reset, Tunnel: f.Tunnel, Code: byte(wire.Unknown)}
	if i >= 0 {
		word = s.over[i].word
	}
	s.mu.Unlock()
	c.Put(word)
}

// Accept makes the origin's end of a tunnel, without a stream yet; false if the table is
// closed. Join or Reset comes next.
func (s *Session) Accept(c *carrier.Carrier, id uint32, svc wire.Service, early []byte) (*Tunnel, bool) {
	t := newTunnel(s.table, svc)
	t.phase, t.session, t.id = open, s, id
	s.mu.Lock()
	isClosed := s.table.isClosed()
	if !isClosed {
		s.add(t)
	}
	s.mu.Unlock()
	if isClosed {
		return nil, false
	}
	s.living(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(early) > 0 {
		_, grown, _ := t.recv.take(chunk{data: early}, nil)
		t.keep(grown)
	}
	t.sendBy(c, true)
	return t, true
}

// Refuse resets a tunnel that does not begin.
func (s *Session) Refuse(c *carrier.Carrier, id uint32, why wire.Reason) {
	word := wire.Frame{Kind: wire.Reset, Tunnel: id, Code: byte(why)}
	s.remember(over{word: word, by: c})
	c.Put(word)
}

// ended notes how a tunnel ended and tells the peer by c, or later if c is nil. said
// says that it was told.
func (s *Session) ended(id uint32, word wire.Frame, said bool, c *carrier.Carrier) {
	s.mu.Lock()
	s.remove(id)
	if len(s.tunnels) == 0 {
		s.unused = carrier.InstantOf(time.Now())
	}
	s.mu.Unlock()
	s.living(-1)
	if word.Kind == wire.Pad {
		return
	}
	s.remember(over{word: word, by: c, due: s.table.isClient && (c == nil || c.Dead())})
	if !said && c != nil {
		c.Put(word)
	}
}

func (s *Session) remember(o over) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.over) >= maxOver {
		s.over = slices.Delete(s.over, 0, 1)
	}
	s.over = append(s.over, o)
}

// HasClosures reports whether SendClosures has something to say.
func (s *Session) HasClosures() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.over, func(o over) bool { return o.due })
}

// SendClosures tells the origin by c how tunnels ended that had no carrier then, or one
// that died right after. It is for clients: an origin answers when it is asked.
func (s *Session) SendClosures(c *carrier.Carrier) {
	s.mu.Lock()
	var due []wire.Frame
	for i := range s.over {
		if o := &s.over[i]; o.due {
			o.due, o.by = false, c
			due = append(due, o.word)
		}
	}
	s.mu.Unlock()
	for _, word := range due {
		c.Put(word)
	}
}

// Joined implements carrier.Handler.
func (s *Session) Joined(*carrier.Carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carriers++
}

// Live implements carrier.Handler.
func (s *Session) Live(c *carrier.Carrier) {
	if s.table.Proved != nil {
		s.table.Proved(c)
	}
}

// Restarted implements carrier.Handler: what the origin has said something of is gone,
// and the rest begins anew.
func (s *Session) Restarted(*carrier.Carrier) {
	s.mu.Lock()
	s.over = nil
	s.mu.Unlock()
	for _, t := range s.All() {
		if !t.anew() {
			t.end(reset, End{Reason: wire.Unknown, FromPeer: true})
		}
	}
	if s.table.Expired != nil {
		s.table.Expired(s)
	}
}

// Draining implements carrier.Handler.
func (s *Session) Draining(c *carrier.Carrier) {
	if s.table.Draining != nil {
		s.table.Draining(c)
	}
}

// Doubted implements carrier.Handler.
func (s *Session) Doubted(c *carrier.Carrier) {
	if s.table.Doubted != nil {
		s.table.Doubted(c)
	}
}

// Spending implements carrier.Handler.
func (s *Session) Spending(c *carrier.Carrier) {
	if s.table.Spending != nil {
		s.table.Spending(c)
	}
}

// Ended implements carrier.Handler: the next carrier says what this one may not have
// said.
func (s *Session) Ended(c *carrier.Carrier) {
	if p, ok := c.Party().(clientParty); ok {
		p.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.carriers--
	s.dismiss(c)
	s.unused = carrier.InstantOf(time.Now())
	if !s.table.isClient {
		return
	}
	for i := range s.over {
		if s.over[i].by == c {
			s.over[i].due, s.over[i].by = true, nil
		}
	}
}

// dropUnused forgets a session that has had nothing for long.
func (tb *Table) dropUnused(s *Session, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.carriers > 0 || len(s.tunnels) > 0 || s.unused.Until(now) <= wire.HoldTunnel {
		return
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if s.given.Until(now) > wire.HoldTunnel {
		tb.drop(s)
	}
}

// sessionOf is the tunnels of what a carrier of an origin has agreed on.
func (tb *Table) sessionOf(agreed *session.Session) *Session {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	now := carrier.InstantOf(time.Now())
	if s := tb.agreed[agreed]; s != nil {
		s.given = now
		return s
	}
	s := tb.newSession(agreed.User)
	s.agreed, s.given = agreed, now
	agreed.Hold()
	agreed.OnDisplaced(func() { tb.tasks.Go(s.giveWay) })
	tb.agreed[agreed], tb.sessions[s] = s, struct{}{}
	return s
}

// dropSession forgets s.
func (tb *Table) dropSession(s *Session) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.drop(s)
}

// drop is dropSession; mu is held.
func (tb *Table) drop(s *Session) {
	if _, ok := tb.sessions[s]; !ok {
		return
	}
	delete(tb.sessions, s)
	if s.agreed != nil {
		delete(tb.agreed, s.agreed)
		s.agreed.Release(time.Now())
		s.accounts.close()
	}
}
