package carrier

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"culvert/internal/pace"
	"culvert/internal/session"
	"culvert/internal/tasks"
	"culvert/internal/transport"
	"culvert/internal/wire"
)

// plainParty seals nothing: a record is its frames and a tag of zeros. Its fields say what
// the session would.
type plainParty struct {
	mu      sync.Mutex
	state   session.State
	held    bool // no record may follow
	early   bool
	late    bool
	head    []byte // goes before the next record
	turn    bool   // each message has a Turn
	event   session.Event
	handler Handler
	shapes  bool // by front and epoch
	rests   int  // how often an end of it was told to rest
}

func (p *plainParty) Head(b []byte, _ time.Time) ([]byte, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, p.head = append(b, p.head...), nil
	if p.turn {
		b = append(b, 0, byte(session.Turn), 1)
	}
	return b, !p.held
}

func (p *plainParty) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *plainParty) Early() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.early
}

func (p *plainParty) Seal(b []byte) ([]byte, error) {
	b = append(b, make([]byte, wire.RecordOverhead)...)
	n := len(b) - wire.RecordHead
	b[0], b[1] = byte(n>>8), byte(n)
	return b, nil
}

func (p *plainParty) SealMessage(_ uint32, b []byte, _ int) ([]byte, error) {
	return append(b, make([]byte, wire.RecordOverhead)...), nil
}

func (p *plainParty) Receive(session.Plain, []byte, time.Time) (session.Event, error) {
	return p.event, nil
}

func (p *plainParty) Open(_ uint32, sealed []byte) ([]byte, error) {
	return sealed[:len(sealed)-wire.RecordOverhead], nil
}

// Shape implements Party.
func (p *plainParty) Shape(front string, epoch uint64) [32]byte {
	if !p.shapes {
		return [32]byte{}
	}
	return sha256.Sum256(fmt.Append(nil, front, epoch))
}

func (p *plainParty) State() session.State                             { return p.state }
func (p *plainParty) Renew(time.Time) ([]byte, bool)                   { return nil, false }
func (p *plainParty) Renewal(wire.Frame, time.Time) ([]byte, error)    { return nil, nil }
func (p *plainParty) Bind(wire.Frame, session.Export, time.Time) error { return nil }
func (p *plainParty) Late(time.Time) bool                              { return p.late }
func (p *plainParty) Over(time.Time) bool                              { return false }
func (p *plainParty) Word() (wire.Frame, bool)                         { return wire.Frame{}, false }
func (p *plainParty) Handler() Handler                                 { return p.handler }
func (p *plainParty) RestWriter()                                      { p.rests++ }
func (p *plainParty) RestReader()                                      { p.rests++ }

// counter is a Handler that counts.
type counter struct {
	mu                                     sync.Mutex
	joined, ended, live, frames, restarted int
}

func (h *counter) count(n *int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	*n++
}

func (h *counter) Deliver(*Carrier, wire.Frame, bool, []byte) (bool, error) {
	h.count(&h.frames)
	return false, nil
}
func (h *counter) Joined(*Carrier)                         { h.count(&h.joined) }
func (h *counter) Live(*Carrier)                           { h.count(&h.live) }
func (h *counter) Restarted(*Carrier)                      { h.count(&h.restarted) }
func (h *counter) Draining(*Carrier)                       {}
func (h *counter) Doubted(*Carrier)                        {}
func (h *counter) Spending(*Carrier)                       {}
func (h *counter) Ended(*Carrier)                          { h.count(&h.ended) }
func (h *counter) Window(byte, time.Duration) *pace.Window { return pace.New(0) }

// door is a transport that keeps what is written, and takes its time for it.
type door struct {
	profile *transport.Profile
	takes   time.Duration
	unread  atomic.Bool
	peer    *Carrier // the carrier whose peer says at once what has come; nil: it says nothing

	mu       sync.Mutex // guards the following
	wrote    [][]byte
	at       []time.Time
	stuck    chan struct{} // if not nil, writing waits until it is closed
	closed   chan struct{}
	isClosed bool
}

func newDoor(p *transport.Profile) *door { return &door{profile: p, closed: make(chan struct{})} }

func (*door) Start(transport.Owner)         {}
func (*door) Park(func()) bool              { return false }
func (*door) Probe() error                  { return nil }
func (*door) Lag() time.Duration            { return 0 }
func (*door) Ahead() bool                   { return false }
func (d *door) Unread() bool                { return d.unread.Load() }
func (d *door) Profile() *transport.Profile { return d.profile }

func (d *door) NextMessage() (io.Reader, error) {
	<-d.closed
	return nil, net.ErrClosed
}

func (d *door) WriteMessage(b []byte) error {
	d.mu.Lock()
	d.wrote, d.at = append(d.wrote, bytes.Clone(b)), append(d.at, time.Now())
	stuck, takes := d.stuck, d.takes
	d.mu.Unlock()
	if stuck != nil {
		select {
		case <-stuck:
		case <-d.closed:
			return net.ErrClosed
		}
	}
	time.Sleep(takes)
	if d.peer == nil || d.profile.Messages {
		return nil
	}
	d.peer.mu.Lock()
	sent := d.peer.out.sent
	d.peer.mu.Unlock()
	return d.peer.confirm(sent, uint64(time.Now().UnixMicro()))
}

func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.isClosed {
		d.isClosed = true
		close(d.closed)
	}
	return nil
}

// messages is what was written so far.
func (d *door) messages() [][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([][]byte(nil), d.wrote...)
}

// records lists the frames of each record that was written at the stream door.
func (d *door) records(t *testing.T) (all [][]wire.Frame) {
	t.Helper()
	for _, m := range d.messages() {
		for len(m) > 0 {
			p, body, rest, err := session.Next(m)
			if err != nil {
				t.Fatal(err)
			}
			if p == session.Record {
				all = append(all, framesOf(t, body[:len(body)-wire.RecordOverhead]))
			}
			m = rest
		}
	}
	return all
}

func framesOf(t *testing.T, b []byte) (all []wire.Frame) {
	t.Helper()
	for len(b) > 0 {
		f, more, err := wire.NextFrame(b)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
		b = more
	}
	return all
}

// newOver makes a living client's carrier over d, alone in a set.
func newOver(d *door) (*Carrier, *plainParty) { return newOf(d, true) }

func newOf(d *door, isClient bool) (*Carrier, *plainParty) { return newOfTransport(d, d, isClient) }

// newUnanswered makes one of the stream door whose peer says nothing, but for what a test has it say.
func newUnanswered(isClient bool) (*Carrier, *door) {
	d := newDoor(transport.StreamProfile())
	c, _ := newOf(d, isClient)
	d.peer = nil
	return c, d
}

// newOfTransport makes one over t, which is d or wraps it.
func newOfTransport(d *door, t transport.Transport, isClient bool) (*Carrier, *plainParty) {
	p := &plainParty{state: session.Live, handler: new(counter)}
	c := New(NewSet(time.Now, tasks.NewGroup(), isClient), t, p, 7)
	c.live.Store(true)
	c.join()
	d.peer = c
	if d.profile.Messages {
		c.path.window = freePath()
	}
	return c, p
}

// freePath is a window that has seen a path pass all messages at once.
func freePath() *pace.Window {
	w := pace.New(time.Millisecond)
	l := w.NewMessageLane(0, wire.MaxTextBody, false, func() {})
	defer l.Close(time.Time{}, true)
	for now, sent := time.Now(), 0; sent < 8<<20; now = now.Add(time.Millisecond) {
		for n := l.Room(now); n > 0; n = l.Room(now) {
			sent += n
			l.Sent(now, n, true)
		}
		l.Came(now.Add(time.Millisecond), uint64(sent), uint64(now.UnixMicro()))
	}
	return w
}

// slowPath is a window that has seen a path pass 8 kB a second, by which somebody talks.
func slowPath() *pace.Window {
	w := pace.New(300 * time.Millisecond)
	l := w.NewMessageLane(0, wire.MaxTextBody, false, func() {})
	defer l.Close(time.Time{}, true)
	now, sent := time.Now(), 0
	for _, n := range []int{100, 8 << 10} {
		sent += n
		l.Sent(now, n, true)
		now = now.Add(300*time.Millisecond + time.Duration(n)*time.Second/(8<<10))
		l.Came(now, uint64(sent), uint64(now.UnixMicro()))
	}
	w.Talk(time.Now())
	return w
}

// bulk is a Sender of so many bytes of one tunnel.
type bulk struct {
	slot Slot
	id   uint32

	mu     sync.Mutex // guards the following
	left   int
	filled []int // bytes, for each turn
	lost   int
	spent  int
	before func() // called in the next Fill
}

func (s *bulk) Fill(b []byte, t Turn) ([]byte, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	if t.Early || !t.Bulk && s.left > min(t.Room, smallTurn)-wire.DataHead {
		return b, s.left
	}
	n := min(s.left, t.Room-wire.DataHead, wire.MaxData)
	if n <= 0 {
		return b, s.left
	}
	f := wire.Frame{Kind: wire.Data, Tunnel: s.id, Body: make([]byte, n)}
	s.left -= n
	s.filled = append(s.filled, n)
	return f.Append(b), s.left
}

func (s *bulk) Spent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent++
}

func (s *bulk) Lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
}

// add has s say n bytes more.
func (s *bulk) add(n int) {
	s.mu.Lock()
	s.left += n
	left := s.left
	s.mu.Unlock()
	s.slot.Ready(left)
}

func (c *Carrier) newBulk(id uint32) *bulk {
	s := &bulk{id: id}
	c.Adopt(&s.slot, s)
	return s
}

// sentBy is how many bytes of records have gone.
func sentBy(c *Carrier) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.sent
}
