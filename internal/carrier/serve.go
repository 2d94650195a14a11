package carrier

import (
	"encoding/binary"
	"io"
	"sync"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// inbound is what whoever reads the carrier knows.
type inbound struct {
	mu sync.Mutex // held while the session takes a message or record

	// Carrier.mu guards the following.
	bytes    uint64        // of records that have come
	at       time.Duration // when the last did, since started
	reported uint64        // what of them the peer was told
	elicits  bool          // some had bytes of streams since
	waits    bool          // the peer waits for a Received, as some needed an answer
	replies  bool          // it did so for the last
	awaited  bool          // bytes of a stream, or its end, have gone, and none have come since

	head [wire.RecordHead]byte // the reader's: of what is being read
}

// Serve reads until the transport fails or brings what it must not, then ends the carrier
// and tells its senders. It returns why.
func (c *Carrier) Serve() error {
	c.begin()
	var err error
	for err == nil {
		err = c.readMessage()
	}
	c.end(err)
	return err
}

// Start serves in goroutines of its own. While there is nothing to read, there is
// none where the transport allows it: reading grows a stack to four times what
// waiting needs, and waiting needs one, too.
func (c *Carrier) Start() {
	if c.transport.Ahead() {
		c.startAhead()
		return
	}
	c.begin()
	if !c.transport.Park(c.serveOn) && !c.set.tasks.Go(c.serveOn) {
		c.end(ErrDead) // the set was closed long ago
	}
}

// begin has the session say its first word, and a client prove itself at once. At the
// gateway door the origin has none: what it says for nothing is paid for. Nor does it hurry where the client knows the
// word.
func (c *Carrier) begin() {
	if c.set.asks {
		c.Ping()
	}
	if c.plays.Load() {
		c.beginOpening()
	}
	switch {
	case c.set.asks, !c.Told && !c.profile.Messages:
		c.speak()
	case c.Told:
		c.speakLater(wait(mostSilent))
	}
}

func (c *Carrier) serveOn() {
	err := c.readMessage()
	for ; err == nil; err = c.readMessage() {
		if c.transport.Park(c.serveOn) {
			return
		}
	}
	c.end(err)
}

func (c *Carrier) readMessage() error {
	r, err := c.transport.NextMessage()
	if err != nil {
		return err
	}
	if c.profile.Messages {
		return c.readBody(r)
	}
	if c.plays.Load() {
		c.hearStep()
	}
	return c.readRecords(r)
}

// readRecords takes all records and plain messages of a message of the stream door.
func (c *Carrier) readRecords(r io.Reader) error {
	c.heard()
	head := c.in.head[:]
	for {
		if _, err := io.ReadFull(r, head); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint16(head))
		if n > wire.RecordOverhead {
			if err := c.readRecord(r, n); err != nil {
				return err
			}
			continue
		}
		if err := c.readPlain(r, session.Plain(n)); err != nil {
			return err
		}
	}
}

func (c *Carrier) readPlain(r io.Reader, p session.Plain) error {
	n, ok := p.Len()
	if !ok {
		return session.ErrMessage
	}
	body := make([]byte, n)
	if err := c.fillFrom(r, body); err != nil {
		return err
	}
	if err := c.takePlain(p, body); err != nil || p != session.Fill {
		return err
	}
	return c.skipFill(r, session.FillLen(body))
}

func (c *Carrier) readRecord(r io.Reader, n int) error {
	if n > wire.MaxRecord-wire.RecordHead {
		return session.ErrMessage
	}
	buf := transport.GetBuffer(n)
	if err := c.fillFrom(r, buf); err != nil {
		transport.PutBuffer(buf)
		return err
	}
	kept, err := c.takeRecord(0, buf, buf)
	if !kept {
		transport.PutBuffer(buf)
	}
	return err
}

// fillFrom reads all of b. Every piece counts as heard: a large record takes long
// on a slow link.
func (c *Carrier) fillFrom(r io.Reader, b []byte) error {
	for len(b) > 0 {
		n, err := r.Read(b)
		if b = b[n:]; err != nil && len(b) > 0 {
			return err
		}
		c.heard()
	}
	return nil
}

func (c *Carrier) heard() { c.alive.lastRx.Store(time.Now().UnixNano()) }

// takePlain gives the session a plain message.
func (c *Carrier) takePlain(p session.Plain, body []byte) error {
	c.in.mu.Lock()
	ev, err := c.party.Receive(p, body, time.Now())
	state := c.party.State()
	c.in.mu.Unlock()
	if err != nil {
		return err
	}
	return c.happened(ev, p == session.Unknown, state)
}

// happened does what the session asks for.
func (c *Carrier) happened(ev session.Event, unknown bool, state session.State) error {
	if ev != 0 {
		c.turns.Add(1)
	}
	if unknown && ev&session.Speak != 0 { // what went by the Join is lost
		c.alive.pinged.Store(0)
		c.lose()
		c.sayPath()
		c.sayKnown()
	}
	if ev&session.Restarted != 0 {
		c.join()
		c.Handler().Restarted(c)
	}
	if state == session.Live {
		c.becomeLive()
	}
	if ev&session.Speak != 0 {
		c.speak()
	}
	return nil
}

// lose tells all senders that what the carrier took is lost.
func (c *Carrier) lose() {
	c.mu.Lock()
	slots := c.senders.list()
	c.mu.Unlock()
	for _, s := range slots {
		s.sender.Lost()
	}
}

// loseAfter is lose if the session has told the writer since turns to go on otherwise:
// the peer may drop unread what was composed under what held before.
func (c *Carrier) loseAfter(turns uint32) {
	if c.turns.Load() != turns {
		c.lose()
	}
}

// join asks once whom the carrier's frames are for.
func (c *Carrier) join() Handler {
	if h := c.handler.Load(); h != nil {
		return *h
	}
	h := c.party.Handler()
	if !c.handler.CompareAndSwap(nil, &h) {
		return c.Handler()
	}
	h.Joined(c)
	return h
}

// becomeLive tells all once that the peer has proved itself.
func (c *Carrier) becomeLive() {
	if c.live.Load() || c.live.Swap(true) {
		return
	}
	c.set.proved(c)
	c.join().Live(c)
	c.release()
}

// takeRecord opens a record in place and delivers its frames. whole is the buffer that it
// lies in if nothing else does; kept says that somebody has it now.
func (c *Carrier) takeRecord(number uint32, sealed, whole []byte) (kept bool, err error) {
	size := len(sealed)
	c.in.mu.Lock()
	plain, err := c.party.Open(number, sealed)
	early := !c.set.asks && c.party.Early()
	state := c.party.State()
	c.in.mu.Unlock()
	if err != nil {
		return false, err
	}
	if plain == nil { // it was dropped unread
		if !c.profile.Messages {
			c.count(size, size)
		}
		return false, nil
	}
	h := c.join()
	if state == session.Live {
		c.becomeLive()
	}
	c.alive.hear()
	c.count(size, size)
	return c.deliver(h, plain, early, whole)
}

// deliver hands the frames of a record on.
func (c *Carrier) deliver(h Handler, plain []byte, early bool, whole []byte) (kept bool, err error) {
	for first := true; len(plain) > 0; first = false {
		f, more, err := wire.NextFrame(plain)
		if err != nil {
			return kept, err
		}
		if early && !f.Early() {
			return kept, wire.ErrFrame
		}
		alone := whole
		if !first || len(more) > 0 {
			alone = nil
		}
		if f.Kind == wire.Open || f.Kind == wire.Data || f.Kind == wire.Fin {
			c.report()
		}
		if f.Tunnel == 0 {
			err = c.carrierWide(h, f)
		} else {
			kept, err = h.Deliver(c, f, early, alone)
		}
		if err != nil {
			return kept, err
		}
		plain = more
	}
	return kept, nil
}

// count notes a record of n bytes for the next Received, which counts as size of a budget.
func (c *Carrier) count(n, size int) {
	c.mu.Lock()
	c.in.bytes, c.in.at = c.in.bytes+uint64(n), time.Since(started)
	if c.opening != nil && c.in.bytes > mostWaiting { // whoever sends so much waits for what comes back
		c.endOpening()
	}
	tell := c.set.asks && c.path.bring(size)
	c.mu.Unlock()
	if tell {
		c.Handler().Spending(c)
	}
}

// report notes that bytes of a stream came. After many of them a Received goes by itself.
func (c *Carrier) report() {
	c.mu.Lock()
	defer c.mu.Unlock()
	in := &c.in
	in.elicits, in.waits, in.awaited = true, true, false
	c.askWhileYoung()
	switch {
	case c.profile.Paid || c.queue.spent:
	case in.bytes-in.reported >= max(receivedEvery, min(in.bytes/16, mostUnreported)):
		c.queue.control = in.appendReceived(c.queue.control)
		c.kick()
	case in.bytes-in.reported >= littleCame:
		c.acks.within(c, wait(receivedWithin))
	case c.acks.timer.IsZero():
		c.acks.within(c, c.shape.waitForCompany())
	}
}

// elicit has a Received go with what is sent, for which the peer waits or does not.
func (c *Carrier) elicit(waits bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in.elicits, c.in.waits = true, c.in.waits || waits
}

// appendReceived tells the peer what has come, if it does not know. Carrier.mu is held.
func (in *inbound) appendReceived(b []byte) []byte {
	if !in.elicits || in.bytes == in.reported {
		return b
	}
	in.reported, in.elicits = in.bytes, false
	in.replies, in.waits = in.waits, false
	f := wire.Frame{Kind: wire.Received, Pos: in.bytes, Clock: uint64(in.at.Microseconds())}
	return f.Append(b)
}

// carrierWide handles a frame that concerns no tunnel.
func (c *Carrier) carrierWide(h Handler, f wire.Frame) error {
	switch f.Kind {
	case wire.Ping:
		if f.Pos == echoMark { // its time is measured
			c.SkipOpening()
		}
		c.elicit(true)
		c.Put(wire.Frame{Kind: wire.Pong, Pos: f.Pos})
	case wire.Pong:
		if c.profile.Messages {
			c.elicit(false)
		}
		c.pong(f.Pos)
	case wire.Leave:
		c.draining.Store(true)
		h.Draining(c)
	case wire.Received:
		return c.confirm(f.Pos, f.Clock)
	case wire.Path:
		if c.set.asks {
			return wire.ErrFrame
		}
		c.takePath(f.Code, f.Num)
	case wire.Known:
		return c.takeKnown(f.Num)
	case wire.Fronts:
		return c.takeFronts(f.Body)
	case wire.Got:
		return c.got(f.Num)
	case wire.Again, wire.Answer:
		return c.renewal(f)
	case wire.Bound, wire.Bare:
		return c.bind(f)
	}
	return nil
}

// confirm takes the peer's count of what has come to it.
func (c *Carrier) confirm(n, clock uint64) error {
	c.mu.Lock()
	if n > c.out.sent {
		c.mu.Unlock()
		return wire.ErrFrame
	}
	now, isNews := time.Now(), n > c.out.confirmed
	c.out.confirmed = max(c.out.confirmed, n)
	lane, trusted := c.path.lane, c.settle(n, isNews, now)
	c.mu.Unlock()
	if lane == nil {
		return nil
	}
	if trusted {
		c.doubtLane()
	}
	return lane.Came(now, n, clock)
}

func (c *Carrier) renewal(f wire.Frame) error {
	c.in.mu.Lock()
	answer, err := c.party.Renewal(f, time.Now())
	c.in.mu.Unlock()
	if err == nil && answer != nil {
		c.Put(wire.Frame{Kind: wire.Answer, Body: answer})
	}
	return err
}

// bind has the session judge who is at the other end of TLS, and say what it has to of that.
func (c *Carrier) bind(f wire.Frame) error {
	c.in.mu.Lock()
	err := c.party.Bind(f, c.Export(), time.Now())
	c.in.mu.Unlock()
	c.speak()
	return err
}
