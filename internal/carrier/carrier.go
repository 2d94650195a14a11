// Package carrier takes frames to a peer over one transport, sealed in records. It
// decides whose frames are written next, keeps the transport alive, and tells whoever
// gave it frames that it died. It knows nothing of tunnels: the frames that come go to
// a Handler, and those that go are asked of Senders when it is their turn.
package carrier

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"culvert/internal/pace"
	"culvert/internal/session"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// Carrier takes frames to the peer over one Transport and dies with it; the senders
// that used it go on through another. A Sender that has something to say asks for a
// turn by its Slot; whoever finds nobody writing writes, small frames ahead of bulk,
// and asks each sender for its frames when its turn has come, so that nothing is sealed
// before it is written.
//
// All methods may be called by many goroutines, but for Serve and Start, of which
// one is called once. None waits for the network but Serve and Slot.Send.
type Carrier struct {
	User uint32 // whose carrier it is: the origin knows it from the token

	// Told says that an origin's client has been told elsewhere what its session says first: that may wait for what the
	// client says. Set before Serve or Start.
	Told bool

	// Settled is told once, at the origin, that the peer has proved itself or that the
	// carrier has ended before. It must not wait. nil: nobody is told. Set before Start.
	Settled func()

	// Newest is, at the origin, the newest list of fronts for the user, and its version, or 0; nil: there
	// are none. Fronts is told, at the client, of a list that came, and must not keep it; nil: none
	// is wanted. Neither waits. Set before Start or Serve.
	Newest func() (list []byte, version uint32)
	Fronts func(list []byte)

	transport transport.Transport
	profile   *transport.Profile // the transport's
	party     Party
	set       *Set
	handler   atomic.Pointer[Handler] // nil until the peer has shown what it belongs to
	dead      atomic.Bool
	cause     atomic.Uint32 // why it is; before it is
	draining  atomic.Bool   // the peer wants its tunnels elsewhere, or they are leaving
	live      atomic.Bool   // the peer has proved itself
	doubted   atomic.Bool   // the peer owes an answer for long
	turns     atomic.Uint32 // grows when the peer may drop what is being written unread
	alive     liveness
	in        inbound
	messages  *messages // nil at the stream door
	shape     shape
	size      int         // of the message of the opening that is being made, or 0; the writer's
	plays     atomic.Bool // there is an opening; c.mu guards what it is
	opened    byte        // the writer's: Open frames in early records
	fills     bool        // the message that is being made says nothing; the writer's
	counted   bool        // among the set's proved ones; Set.mu guards it
	used      bool        // there were more than a few bytes of records since it had rested before; c.mu guards it
	writer    func()      // c.write: a closure made once

	mu          sync.Mutex // guards the following; never held across I/O
	queue       writeQueue
	opening     *opening // nil: there is none, or it is over
	acks        ackSchedule
	silence     tasks.Timer // until a first word goes that waits; zero: none does
	out         outbound
	path        path
	doubt       doubt
	lists       lists
	senders     slotSet
	unusedSince int64  // when a sender last left it, Unix ns
	moved       uint64 // bytes of records, both ways, when it last rested
}

// Party is a carrier's end of its session. One goroutine at a time calls Head, Early at
// the client, Renew, Word, Seal, SealMessage and RestWriter; one at a time Receive, Open,
// Early at the origin, Renewal, Bind and RestReader. See package session.
type Party interface {
	// Head appends what must go before the next record, and reports whether one may follow.
	Head(b []byte, now time.Time) ([]byte, bool)
	// Early reports whether the record at hand, written by the client or read by the
	// origin, may hold frames alone that wire.Frame.Early allows.
	Early() bool
	Seal(b []byte) ([]byte, error)
	SealMessage(number uint32, b []byte, head int) ([]byte, error)
	Receive(p session.Plain, body []byte, now time.Time) (session.Event, error)
	Open(number uint32, sealed []byte) ([]byte, error)
	State() session.State
	// Renew is what an Again frame should say now, if one is due.
	Renew(now time.Time) ([]byte, bool)
	// Renewal takes an Again or Answer frame, and returns what to answer, or nothing.
	Renewal(f wire.Frame, now time.Time) (answer []byte, err error)
	// Word is a Bound or Bare frame that the next record is to hold, if one is due; Bind takes one.
	Word() (f wire.Frame, ok bool)
	Bind(f wire.Frame, export session.Export, now time.Time) error
	// Late reports that the peer has had its time to prove itself.
	Late(now time.Time) bool
	// Over reports that the transport's own keys have been used for as long as they may.
	Over(now time.Time) bool
	// Shape is what carriers of the user by a front look as they do by, as long as an epoch lasts. Nobody else knows it.
	Shape(front string, epoch uint64) [32]byte
	// Handler takes the frames of records. It is asked once one has opened.
	Handler() Handler
	RestWriter()
	RestReader()
}

// Handler is told what carriers bring. No method waits.
type Handler interface {
	// Deliver takes a frame that concerns a tunnel. early says that it came in an early
	// record. whole is the buffer that f.Body lies in if nothing else does, else nil:
	// then Deliver may keep it, and reports whether it has. An error ends c.
	Deliver(c *Carrier, f wire.Frame, early bool, whole []byte) (kept bool, err error)
	// Joined is told that c's frames go to this handler from now on.
	Joined(c *Carrier)
	// Live is told that c's peer has proved itself.
	Live(c *Carrier)
	// Restarted is told that the peer has forgotten the session.
	Restarted(c *Carrier)
	// Draining is told that the peer wants c's tunnels elsewhere.
	Draining(c *Carrier)
	// Ended is told that c has died.
	Ended(c *Carrier)
	// Doubted is told, at the client, that c may have died.
	Doubted(c *Carrier)
	// Spending is told, at the client, when half of c's budget is spent, and when all is.
	Spending(c *Carrier)
	// Window is what may be in flight by the carriers of one path, less than wire.MaxPaths.
	Window(path byte, trip time.Duration) *pace.Window
}

// Sender gives frames to one carrier: a tunnel, on one of its paths. A carrier calls its
// methods without any lock of its own. They do not wait.
type Sender interface {
	// Fill appends the sender's next frames to b, at most t.Room bytes of them. What it
	// returns as more is bytes that wait for another turn.
	Fill(b []byte, t Turn) (out []byte, more int)
	// Lost is told that what the carrier has taken did not come to the peer. Where the
	// carrier is not dead it goes on from here.
	Lost()
	// Spent is told that the carrier takes nothing any more. What it took comes to the peer.
	Spent()
}

// Turn is what a sender may say now.
type Turn struct {
	Room  int  // bytes of frames
	Bulk  bool // frames of any size; else what fits into transport.SmallFrame as a whole
	Early bool // Open frames alone
}

var (
	// ErrDead means that a carrier has ended.
	ErrDead = errors.New("carrier is dead")
	// ErrMissing means that a message of the gateway door is lost.
	ErrMissing = errors.New("a message did not come")
)

// New makes a carrier of s over t, whose end of a session is p. Call Serve or Start next,
// which end when the carrier does. A carrier of a Set that is closed is dead.
func New(s *Set, t transport.Transport, p Party, user uint32) *Carrier {
	c := &Carrier{User: user, transport: t, profile: t.Profile(), party: p, set: s}
	if c.profile.Messages {
		c.messages, c.queue.work = new(messages), sync.NewCond(&c.mu)
	}
	c.path.texts = c.profile.Messages
	c.writer = c.write
	c.ShapeFor("")
	now := time.Now().UnixNano()
	c.alive.lastRx.Store(now)
	c.alive.lastTx.Store(now)
	c.unusedSince = now
	owner := transport.Owner{Tasks: s.tasks, Poller: &s.poller, Deliver: c.takeMessage}
	if s.asks {
		owner.Progress = func() { c.alive.lastRx.Store(time.Now().UnixNano()) }
	}
	if s.asks {
		c.join()
	}
	t.Start(owner)
	s.add(c)
	return c
}

// Profile is that of the carrier's door.
func (c *Carrier) Profile() *transport.Profile { return c.profile }

// Party is the carrier's end of its session.
func (c *Carrier) Party() Party { return c.party }

// Export is what the TLS exports that the carrier runs on; nil: there is none that would do.
func (c *Carrier) Export() session.Export { return transport.Exporter(c.transport) }

// Handler is what the carrier's frames go to; nil while that is not known.
func (c *Carrier) Handler() Handler {
	if h := c.handler.Load(); h != nil {
		return *h
	}
	return nil
}

// Close ends the carrier, and with it Serve. Its tunnels live on. One in doubt was silent.
func (c *Carrier) Close() {
	if c.Doubted() {
		c.CloseFor(Silent)
		return
	}
	c.CloseFor(EndedHere)
}

// CloseFor is Close with a cause. The first one stays.
func (c *Carrier) CloseFor(why Cause) {
	c.cause.CompareAndSwap(0, uint32(why))
	if c.dead.Swap(true) {
		return
	}
	c.mu.Lock()
	c.acks.stop()
	c.queue.stop()
	c.path.turn.Stop()
	c.silence.Stop()
	c.dropOpening()
	c.doubt.timer.Stop()
	c.doubt.timer = tasks.Timer{}
	lane := c.path.lane
	c.mu.Unlock()
	if lane != nil {
		lane.Close(time.Now(), c.set.asks && why == EndedHere) // an origin hears no more than that it has ended
	}
	c.transport.Close()
}

// Dead reports whether the carrier has ended.
func (c *Carrier) Dead() bool { return c.dead.Load() }

// Live reports whether the peer has proved itself.
func (c *Carrier) Live() bool { return c.live.Load() }

// end is the last that whoever serves the carrier does.
func (c *Carrier) end(why error) {
	c.CloseFor(causeOf(why))
	c.set.remove(c)
	if c.set.Ended != nil {
		c.set.Ended(c.Cause())
	}
	c.lose()
	nobody := Handler(noHandler{}) // messages of the gateway door may be being taken
	if !c.handler.CompareAndSwap(nil, &nobody) {
		c.Handler().Ended(c)
	}
}

// noHandler is that of a carrier which ended before its peer had shown what it belongs to.
type noHandler struct{}

func (noHandler) Deliver(*Carrier, wire.Frame, bool, []byte) (bool, error) { return false, ErrDead }
func (noHandler) Joined(*Carrier)                                          {}
func (noHandler) Live(*Carrier)                                            {}
func (noHandler) Restarted(*Carrier)                                       {}
func (noHandler) Draining(*Carrier)                                        {}
func (noHandler) Ended(*Carrier)                                           {}
func (noHandler) Doubted(*Carrier)                                         {}
func (noHandler) Spending(*Carrier)                                        {}
func (noHandler) Window(byte, time.Duration) *pace.Window                  { return pace.New(0) }

// Drain tells the client to take its tunnels elsewhere.
func (c *Carrier) Drain() { c.Put(wire.Frame{Kind: wire.Leave}) }

// Retire marks a carrier for which its end has found another.
func (c *Carrier) Retire() { c.draining.Store(true) }

// Draining reports whether the peer wants its tunnels elsewhere, or Retire was called.
func (c *Carrier) Draining() bool { return c.draining.Load() }

// Slot is a sender's place at a carrier. The carrier's lock guards it.
type Slot struct {
	carrier *Carrier
	sender  Sender
	small   bool // waits for a turn of small frames
	bulk    bool // waits for a turn of bulk
	ack     bool // its ack is due
	asked   bool // it waits as it said, and not for its ack alone
	waits   bool // its turn was an early one: it has another when records may hold all
	pending int  // bytes that it waited with when it last asked
}

// Adopt gives s a place: it is told when what the carrier took is lost, unless the
// carrier died before, which the caller asks Dead about. slot is the caller's memory.
func (c *Carrier) Adopt(slot *Slot, s Sender) {
	slot.carrier, slot.sender = c, s
	c.mu.Lock()
	defer c.mu.Unlock()
	c.senders.add(slot)
}

// Drop gives the place up.
func (s *Slot) Drop() {
	c := s.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.remove(s)
	c.acks.remove(s)
	c.senders.remove(s)
	c.unusedSince = time.Now().UnixNano()
}

// Ready asks for a turn, for n bytes of a stream; 0 is for frames without any.
func (s *Slot) Ready(n int) { s.ask(n, n > smallTurn) }

// ask asks for a turn of bulk, or of small frames.
func (s *Slot) ask(n int, isBulk bool) {
	c := s.carrier
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead.Load() {
		c.queue.add(s, n, isBulk)
		s.asked = true
		c.kick()
	}
}

// Send is Ready, but where nobody writes the caller does, and waits for the network.
func (s *Slot) Send(n int) {
	c := s.carrier
	c.mu.Lock()
	if c.dead.Load() {
		c.mu.Unlock()
		return
	}
	c.queue.add(s, n, n > smallTurn)
	s.asked = true
	if c.queue.running || c.profile.Messages || !c.queue.mayWrite() {
		c.kick()
		c.mu.Unlock()
		return
	}
	c.queue.running = true
	c.mu.Unlock()
	c.writeFor(s)
}

// ScheduleAck asks for a turn for an ack within a time, with others that are due. Where acks go by themselves they do
// so after a part of that time, by chance.
func (s *Slot) ScheduleAck(within time.Duration) {
	c := s.carrier
	switch {
	case c.profile.Paid:
	case within < c.shape.patience:
		within = wait(within)
	default:
		within = c.shape.waitForCompany()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.dead.Load() {
		c.acks.add(c, s, within)
	}
}

// Unused is for how long no sender has used the carrier, 0 if one does. What a
// sender says last may be on its way for a moment.
func (c *Carrier) Unused(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.senders.len() > 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - c.unusedSince)
}

// Load is how many senders use the carrier or did so lately.
func (c *Carrier) Load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.senders.len()
}

// slotSet is the slots of a carrier: one, as a rule, at the origin, where a map would
// cost an idle client more than its tunnel; thousands at a busy client.
type slotSet struct {
	few  []*Slot // up to fewSlots
	many map[*Slot]struct{}
}

const fewSlots = 8

func (l *slotSet) add(s *Slot) {
	switch {
	case l.many != nil:
		l.many[s] = struct{}{}
	case len(l.few) < fewSlots:
		l.few = append(l.few, s)
	default:
		l.many = map[*Slot]struct{}{}
		for _, s := range append(l.few, s) {
			l.many[s] = struct{}{}
		}
		l.few = nil
	}
}

func (l *slotSet) remove(s *Slot) {
	delete(l.many, s)
	if i := slices.Index(l.few, s); i >= 0 {
		l.few = slices.Delete(l.few, i, i+1)
	}
}

func (l *slotSet) len() int { return len(l.few) + len(l.many) }

func (l *slotSet) list() []*Slot {
	return slices.AppendSeq(slices.Clone(l.few), maps.Keys(l.many))
}

// ackSchedule is the slots whose acks are due, and when. Carrier.mu guards it.
type ackSchedule struct {
	due   []*Slot
	timer tasks.Timer   // until the acks that are due are sent; zero: none is
	at    time.Duration // when that is, since started
}

func (a *ackSchedule) add(c *Carrier, s *Slot, within time.Duration) {
	if !s.ack {
		s.ack = true
		a.due = append(a.due, s)
	}
	a.within(c, within)
}

// within has flushAcks called in time.
func (a *ackSchedule) within(c *Carrier, within time.Duration) {
	at := time.Since(started) + within
	switch {
	case a.timer.IsZero():
		a.timer = c.set.tasks.AfterFunc(within, c.flushAcks) // one that is kept would cost an idle client more than this garbage
	case at < a.at:
		a.timer.Reset(within)
	default:
		return
	}
	a.at = at
}

func (a *ackSchedule) remove(s *Slot) {
	a.due = without(a.due, s, &s.ack)
}

// stop forgets the acks that are due.
func (a *ackSchedule) stop() {
	a.timer.Stop()
	for _, s := range a.due {
		s.ack = false
	}
	*a = ackSchedule{}
}

// flushAcks gives all whose acks are due a turn.
func (c *Carrier) flushAcks() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		return
	}
	c.queueAcks()
	if !c.profile.Paid && !c.queue.spent {
		c.queue.control = c.in.appendReceived(c.queue.control)
	}
	c.kick()
}

// queueAcks lets the acks that are due go with what is written next. c.mu is held.
func (c *Carrier) queueAcks() {
	for _, s := range c.acks.due {
		c.queue.add(s, 0, false)
	}
	c.acks.stop()
}
