package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// ends is what both types of carriers have.
type ends interface {
	Head(b []byte, now time.Time) ([]byte, bool)
	Seal(b []byte) ([]byte, error)
	SealMessage(number uint32, b []byte, head int) ([]byte, error)
	Receive(p Plain, body []byte, now time.Time) (Event, error)
	Open(number uint32, sealed []byte) ([]byte, error)
	State() State
	sealing() *end
}

func (e *end) sealing() *end { return e }

// watch is told each number before it is sealed, and its key.
var watch = func(secret [32]byte, number uint64) {}

// wireEnd writes and reads messages of one carrier's end, as a carrier will.
type wireEnd struct {
	ends
	door   Door
	number uint32
	seen   []string // what was opened
	events Event
}

var errWait = errors.New("no record may follow")

// say makes a message of text; "" is for the plain messages alone. nil without an
// error: there is nothing to send.
func (w *wireEnd) say(text string, now time.Time) ([]byte, error) {
	if w.door == Gateway {
		return w.sayMessage(text, now)
	}
	b, ok := w.Head(nil, now)
	if text == "" {
		return b, nil
	}
	if !ok {
		return b, errWait
	}
	room := make([]byte, wire.RecordHead, wire.RecordHead+len(text)+wire.RecordOverhead)
	watch(w.sealing().out.secret, w.sealing().number)
	sealed, err := w.Seal(append(room, text...))
	return append(b, sealed...), err
}

func (w *wireEnd) sayMessage(text string, now time.Time) ([]byte, error) {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4096), w.number)
	b, ok := w.Head(b, now)
	if !ok {
		if len(b) == 4 {
			return nil, errWait
		}
		w.number++
		return b, nil
	}
	if text == "" {
		text = "."
	}
	w.number++
	watch(w.sealing().out.secret, uint64(w.number-1))
	return w.SealMessage(w.number-1, append(b, text...), len(b))
}

// hear takes a message; it keeps it whole.
func (w *wireEnd) hear(message []byte, now time.Time) error {
	message = bytes.Clone(message)
	if w.door == Gateway {
		return w.hearMessage(message, now)
	}
	for len(message) > 0 {
		p, body, rest, err := Next(message)
		if err != nil {
			return err
		}
		if p != Record {
			ev, err := w.Receive(p, body, now)
			if w.events |= ev; err != nil {
				return err
			}
		} else if err := w.opened(w.Open(0, body)); err != nil {
			return err
		}
		message = rest
	}
	return nil
}

func (w *wireEnd) hearMessage(message []byte, now time.Time) error {
	p, body, sealed, err := Next(message[4:])
	if err != nil {
		return err
	}
	ev, err := w.Receive(p, body, now)
	if err == ErrRepeated {
		return nil
	}
	if w.events |= ev; err != nil || p == Unknown {
		return err
	}
	plain, err := w.Open(binary.BigEndian.Uint32(message), sealed)
	if err == ErrRepeated {
		return nil
	}
	return w.opened(plain, err)
}

func (w *wireEnd) opened(plain []byte, err error) error {
	if err == nil && plain != nil {
		w.seen = append(w.seen, string(plain))
	}
	return err
}

// world is users and origins of one master secret.
type world struct {
	t       testing.TB
	now     time.Time
	master  seal.Master
	tokens  uint64
	pairs   map[uint32][2]*seal.Pair // the client's, the origin's
	process *Origin
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, now: start, pairs: pairs}
	w.process = w.newOrigin(1)
	return w
}

// pairs are the same in every world.
var pairs = map[uint32][2]*seal.Pair{}

func (w *world) newOrigin(owner byte) *Origin { return NewOrigin(Config{Address: fmt.Sprint(owner)}) }

func (w *world) pair(user uint32) [2]*seal.Pair {
	if p, ok := w.pairs[user]; ok {
		return p
	}
	c, err := seal.NewClientPair(w.master.Client(user))
	if err != nil {
		w.t.Fatal(err)
	}
	o := w.master.Pair(user)
	w.pairs[user] = [2]*seal.Pair{c, o}
	return w.pairs[user]
}

func (w *world) client(user uint32) *Client { return NewClient(w.pair(user)[0], AESGCM) }

// link is a carrier with both of its ends.
type link struct {
	w    *world
	near *wireEnd
	far  *wireEnd
	c    *ClientCarrier
	o    *OriginCarrier
}

func (w *world) token() (token wire.Token) {
	w.tokens++
	binary.BigEndian.PutUint64(token[:], w.tokens)
	return token
}

func (w *world) dial(s *Client, user uint32, d Door, o *Origin) *link {
	token := w.token()
	c := s.Carrier(d, token)
	far := o.Carrier(d, token, user, w.pair(user)[1], w.now)
	return &link{w, &wireEnd{ends: c, door: d}, &wireEnd{ends: far, door: d}, c, far}
}

// settle exchanges what must be said until the client may send records that are no early ones.
func (l *link) settle() error {
	for range 4 {
		if err := l.down(""); err != nil || l.near.State() == Live {
			return err
		}
		if err := l.up(""); err != nil {
			return err
		}
		if l.near.door == Stream && l.near.State() == Joining && l.far.State() == Joined {
			return nil // what proves it is a record
		}
	}
	return errors.New("they talk without end")
}

func (l *link) carry(from, to *wireEnd, text string) error {
	m, err := from.say(text, l.w.now)
	if err == errWait && (text == "" || from.door == Gateway && l.near.State() != Live) {
		return nil // the gateway door's hello is all until it is answered
	}
	if err != nil || m == nil {
		return err
	}
	return to.hear(m, l.w.now)
}

func (l *link) up(text string) error   { return l.carry(l.near, l.far, text) }
func (l *link) down(text string) error { return l.carry(l.far, l.near, text) }

// talk makes the carrier live, both ways.
func (l *link) talk(t testing.TB) {
	t.Helper()
	for _, err := range []error{l.settle(), l.up("up"), l.down("down"), l.up("up")} {
		if err != nil {
			t.Fatalf("%v; the client is %v, the origin %v", err, l.near.State(), l.far.State())
		}
	}
	if l.near.State() != Live || l.far.State() != Live {
		t.Fatalf("the client is %v, the origin %v; want both live", l.near.State(), l.far.State())
	}
}

// again agrees anew inside records.
func (l *link) again(t testing.TB) {
	t.Helper()
	body, ok := l.c.Again(l.w.now)
	if !ok {
		t.Fatal("the client does not want to agree again")
	}
	answer, err := l.o.Again(body, l.w.now)
	if err != nil {
		t.Fatal(err)
	}
	l.c.Answer(answer, l.w.now)
}

func forBothDoors(t *testing.T, f func(t *testing.T, w *world, d Door)) {
	for name, d := range map[string]Door{"stream": Stream, "gateway": Gateway} {
		t.Run(name, func(t *testing.T) { f(t, newWorld(t), d) })
	}
}

func (s *Client) current() *generation { return s.newest.Load() }

func (s *Session) newest() *generation { return s.generations[len(s.generations)-1] }
