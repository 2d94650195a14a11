package carrier

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"culvert/internal/session"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// How long frames wait for others to share a message of the gateway door with. One costs
// the same up to 32 KB, and four times that at most.
const (
	messagePace = 5 * time.Millisecond  // between messages of small frames, while the peer has not said that it has the last
	fillWait    = 25 * time.Millisecond // for bulk to fill a message, or for what acks can ride on
)

// numberLen is the length of a message's number.
const numberLen = 4

// leastFill is the least room in a message or record for which a sender is asked: an Open with the
// longest name fits.
const leastFill = 512

// messages is what a carrier knows of the messages of the gateway door, which come late,
// twice, or not at all. The zero value is ready; a carrier of the stream door has none.
type messages struct {
	last time.Time // the writer's: when one went
	told uint32    // the writer's: the peer was told that all before have come

	mu      sync.Mutex // guards the following, of which the writer alone changes number
	number  uint32     // of the next
	in      arrivals
	got     uint32 // the peer has all of ours before this
	waiting bool   // the peer has not said that it has the messages first to final
	first   uint32
	final   uint32
	since   time.Time // when first had gone, or later
	asked   int       // how often an origin has asked since the peer has said so of any
	chased  int       // how often a client has asked, as one was missing for long
}

// errGot means that the peer has messages that were not sent.
var errGot = errors.New("a message came that was not sent")

// writeMessage sends one message when it is time to.
func (c *Carrier) writeMessage() error {
	if !c.waitPace() {
		return nil
	}
	m := c.messages
	body, head, t := c.composeMessage(binary.BigEndian.AppendUint32(transport.GetBody(wire.MaxTextBody), m.number))
	defer func() { transport.PutBody(body) }()
	switch {
	case len(body) > head:
		sealed, err := c.party.SealMessage(m.number, body, head)
		if err != nil {
			return err
		}
		body = sealed
	case head == numberLen, head == numberLen+plainTurn: // a Turn alone says nothing
		c.writing(0, 0, told{})
		return nil
	}
	number := m.sent()
	c.alive.lastTx.Store(m.last.UnixNano())
	c.writing(len(body)-head, len(body), told{bulk: t.answers || t.asks, asks: t.asks})
	err := c.transport.WriteMessage(body)
	switch {
	case t.replies:
		m.answered()
	case !t.lazy, head > numberLen+plainTurn:
		m.ask(number)
		c.awaitEdge()
	}
	return err
}

// composeMessage appends to a message's number what the session has to say, and from head on the frames, which are
// not sealed yet.
func (c *Carrier) composeMessage(body []byte) (_ []byte, head int, t composed) {
	turns := c.turns.Load()
	body, may := c.head(body)
	if head = len(body); !may {
		return body, head, composed{lazy: true}
	}
	body, t = c.messageFrames(body, c.isEarly())
	t.lazy = t.lazy && !holdsStream(body[head:]) // an ack's turn takes what has just been read, too
	t.replies = !c.set.asks && c.replies(body[head:])
	c.loseAfter(turns)
	if len(body) == head && head > numberLen+plainTurn { // a record shows that the message is whole
		body = append(body, byte(wire.Pad))
	}
	return body, head, t
}

// replies reports whether there is a Received among frames that the peer waits for, as it has said what
// needs an answer.
func (c *Carrier) replies(b []byte) bool {
	for f := range eachFrame(b) {
		if f.Kind == wire.Received {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.in.replies
		}
	}
	return false
}

// plainTurn is the length of a Turn, which asks for no answer.
const plainTurn = 3

// isLazy reports that what waits needs no answer: acks and the like. c.mu is held.
func (c *Carrier) isLazy() bool {
	for _, s := range c.queue.small {
		if s.pending > 0 {
			return false
		}
	}
	return (len(c.queue.bulk) == 0 || c.queue.paced) && !c.queue.asks
}

// waitPace waits until the next message should go; false if there is none any more.
func (c *Carrier) waitPace() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for since := time.Now(); !c.queue.dead && c.queue.mayWrite(); {
		wait := c.patience(since, time.Now())
		if wait <= 0 {
			return true
		}
		t := c.set.tasks.AfterFunc(wait, c.wake)
		c.queue.work.Wait()
		t.Stop()
	}
	return false
}

func (c *Carrier) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue.changed()
}

// patience is how long what has waited since then may wait on. c.mu is held.
func (c *Carrier) patience(since, now time.Time) time.Duration {
	q := &c.queue
	isBulk := len(q.bulk) > 0 && !q.paced
	switch {
	case q.speak, isBulk && c.fillsMessage():
		return 0
	case isBulk || c.isLazy():
		return fillWait - now.Sub(since)
	case c.messages.heardLast():
		return 0
	}
	return messagePace - now.Sub(c.messages.last)
}

// readBody takes a whole message of the gateway door.
func (c *Carrier) readBody(r io.Reader) error {
	body := transport.GetBody(wire.MaxTextBody)
	defer func() { transport.PutBody(body) }()
	for {
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return c.takeBody(body)
		}
		if err != nil {
			return err
		}
		if len(body) == cap(body) {
			return session.ErrMessage
		}
	}
}

// takeMessage takes a message that has come as a whole. Many goroutines may call it. An
// error has ended the carrier.
func (c *Carrier) takeMessage(body []byte) error {
	err := c.takeBody(body)
	if err != nil {
		c.CloseFor(causeOf(err))
	}
	return err
}

func (c *Carrier) takeBody(body []byte) error {
	c.heard()
	if len(body) < numberLen {
		return session.ErrMessage
	}
	number := binary.BigEndian.Uint32(body)
	p, plain, sealed, err := session.Next(body[numberLen:])
	if err != nil {
		return err
	}
	err = c.takeBoth(number, p, plain, sealed, len(body))
	if errors.Is(err, session.ErrRepeated) {
		return nil
	}
	return err
}

// takeBoth gives the session the two parts of a message, of which no other may come in between.
// Unknown alone has no record: without one, nothing says which message it is that has come. size is the whole
// message's.
func (c *Carrier) takeBoth(number uint32, p session.Plain, plain, sealed []byte, size int) error {
	if (len(sealed) == 0) != (p == session.Unknown) {
		return session.ErrMessage
	}
	c.in.mu.Lock()
	ev, err := c.party.Receive(p, plain, time.Now())
	var frames []byte
	early := false
	if err == nil && len(sealed) > 0 {
		frames, err = c.party.Open(number, sealed)
		early = !c.set.asks && c.party.Early()
	}
	state := c.party.State()
	c.in.mu.Unlock()
	if err != nil {
		return err
	}
	isNew, err := c.messages.came(number)
	if err != nil {
		return err
	}
	if isNew {
		c.count(len(sealed), size)
	}
	if err := c.happened(ev, p == session.Unknown, state); err != nil || frames == nil {
		return err
	}
	c.alive.hear()
	c.trust()
	_, err = c.deliver(c.join(), frames, early, nil)
	return err
}

// sent counts a message that is about to go, and returns its number.
func (m *messages) sent() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = time.Now()
	m.number++
	return m.number - 1
}

// ask notes that the peer must say that a message has come, which has been written: on a
// slow link that takes long. It may have said so.
func (m *messages) ask(number uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if number < m.got {
		return
	}
	m.final = number
	if !m.waiting {
		m.waiting, m.first, m.since = true, number, time.Now()
	}
}

// answered notes that an origin's message has gone that the client waits for: if it is lost, the
// client asks, and then misses those before, too.
func (m *messages) answered() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting = false
}

// shouldAsk reports whether an origin should ask now, as it does not know whether the last messages
// have come and has heard nothing for longer than patience. Each time it takes twice as long to the next.
func (m *messages) shouldAsk(now time.Time, quiet, patience time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.waiting || min(quiet, now.Sub(m.since)) < patience<<m.asked {
		return false
	}
	m.asked++
	return true
}

// confirm notes that the peer has all messages before got, as it says. The error is errGot.
func (m *messages) confirm(got uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if got > m.number {
		return errGot
	}
	m.got = max(m.got, got)
	if m.waiting && got > m.first {
		m.waiting, m.first, m.since, m.asked = got <= m.final, got, time.Now(), 0
	}
	return nil
}

// got notes that the peer has all messages before n, as it says. The error is errGot: at the stream door
// no message has a number.
func (c *Carrier) got(n uint32) error {
	switch {
	case c.messages != nil:
		err := c.messages.confirm(n)
		c.wake() // what waited for this may go
		return err
	case n > 0:
		return errGot
	}
	return nil
}

// heardLast reports that the peer has all messages. The writer asks.
func (m *messages) heardLast() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got >= m.number
}

// came notes a message of the peer, and reports whether it has not come before.
func (m *messages) came(number uint32) (isNew bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.in.note(number)
}

// appendGot tells the peer which messages have come, if that is news.
func (m *messages) appendGot(b []byte) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in.next == m.told {
		return b
	}
	m.told = m.in.next
	f := wire.Frame{Kind: wire.Got, Num: m.told}
	return f.Append(b)
}

// maxBefore messages may be on their way before what the peer says now: those that it
// sends at once, and what API Gateway keeps for a client.
const maxBefore = 12

// overdue is for how long a message of either side's has been missing, 0 if none is,
// beyond what comes before it on a slow link, where one takes lag.
func (m *messages) overdue(now time.Time, asks bool, lag time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	late := m.in.missing(now)
	if asks && m.waiting {
		late = max(late, now.Sub(m.since))
	}
	return max(late-maxBefore*lag, 0)
}

// asksAfter reports, and notes, that a client should ask now, as a message has been missing for so long.
func (m *messages) asksAfter(late time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if late <= askOverdue {
		m.chased = 0
		return false
	}
	if late <= askOverdue+askAgain<<m.chased-askAgain {
		return false
	}
	m.chased++
	return true
}

// arrivals notes which messages have come, in any order.
type arrivals struct {
	next  uint32              // all before this have come
	ahead map[uint32]struct{} // these have, too
	gap   time.Time           // since when one is missing, if ahead holds any
}

// maxAhead bounds the messages that overtake a missing one: beyond it, their records
// would not be told from repeats.
const maxAhead = session.WindowSize

// note takes message n, and reports whether it has not come before. The error is ErrMissing.
func (a *arrivals) note(n uint32) (isNew bool, err error) {
	_, again := a.ahead[n]
	switch {
	case n < a.next || again:
		return false, nil
	case n-a.next > maxAhead:
		return false, ErrMissing
	case n == a.next:
		a.advance()
		return true, nil
	}
	if len(a.ahead) == 0 {
		a.ahead = map[uint32]struct{}{}
		a.gap = time.Now()
	}
	a.ahead[n] = struct{}{}
	return true, nil
}

func (a *arrivals) advance() {
	for come := true; come; {
		a.next++
		_, come = a.ahead[a.next]
		delete(a.ahead, a.next)
	}
	if len(a.ahead) == 0 {
		a.ahead = nil
	}
	a.gap = time.Now()
}

// missing is for how long a message has been, 0 if none is.
func (a *arrivals) missing(now time.Time) time.Duration {
	if len(a.ahead) == 0 {
		return 0
	}
	return max(now.Sub(a.gap), 1)
}
