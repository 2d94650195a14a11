package session

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// end is what both ends of a carrier have.
type end struct {
	seal.Hidden
	side
	atOrigin bool

	mu         sync.Mutex // guards the following, what side has, keys, latest, and what keys have used
	state      State
	challenged bool // client: it came; origin: it was said
	fills      byte // how many Fills have come
	bare       bareness
	unknown    bool // client: it came; origin: it is to be said
	place
	context [2 + joinLen]byte // what binds the carrier's keys to its Join, or to the generation that it agreed on, but for the token
	first   int16             // the name of that generation
	next    *key              // that the writer is to go on by; nil: there is none yet

	// These belong to whoever holds the carrier's write lock.
	out    *key   // nil: there is none yet
	number uint64 // the least that may be sealed

	// These belong to whoever reads, one at a time.
	keys   []*key // the newest first
	at     *key   // of the record at hand; nil: nothing has said what records are
	latest *key   // of the record with the highest number that has opened; nil: an early one, or none
	came   Window
}

// side is what one of the ends does. end.mu is held.
type side interface {
	receive(p Plain, body []byte, now time.Time) (Event, error)
	// prove is told that a record has opened, the first by k.
	prove(k *key) error
}

// keysKept bounds keys: the one that is to come, the one in use and, at the gateway
// door, the one before it.
const keysKept = 3

// begin gives the carrier its id, without keeping it, and returns the key to seal by. join is what a Join says
// after the name of g; empty: there was none.
func (e *end) begin(g *generation, join []byte) (out *key, err error) {
	e.first = int16(g.j)
	e.context = [2 + joinLen]byte{byte(g.cipher), byte(e.door)}
	copy(e.context[2:], g.name[:])
	copy(e.context[2+len(g.name):], join)
	e.keys = nil
	return e.derive(g)
}

// id is what the keys of all the carrier's generations are bound to.
func (e *end) id() []byte { return slices.Concat(e.context[:], e.token[:]) }

// derive makes the keys of a generation, keeps the one to open by and returns the one to
// seal by. What goes down is bound to the challenge, once that is known.
func (e *end) derive(g *generation) (out *key, err error) {
	id := e.id()
	up, err := g.derive("culvert 2 up", id...)
	if err != nil {
		return nil, err
	}
	down, err := g.derive("culvert 2 down", id...)
	out, in := &key{name: int16(g.j), of: g, cipher: g.cipher, secret: up}, &key{name: int16(g.j), of: g, cipher: g.cipher, secret: down}
	if e.door == Gateway || e.challenged || e.atOrigin {
		e.bind(in)
	}
	if e.atOrigin {
		out, in = in, out
	}
	in.back = out
	e.keys = append([]*key{in}, e.keys[:min(len(e.keys), keysKept-1)]...)
	return out, err
}

func (e *end) bind(down *key) { down.secret = seal.Expand(down.secret[:], string(e.o[:])) }

// turn has the writer go on under next, if that is another key, and says so.
func (e *end) turn(b []byte) []byte {
	tell := e.door == Gateway
	if e.next != nil && e.next != e.out && !e.isBound() {
		tell = tell || e.out != nil // a client knows what an origin answers a Join under
		e.out = e.next
	}
	if tell {
		b = appendPlain(b, Turn, e.out.of.j)
	}
	return b
}

// mostFills bounds the Fills of a carrier: whoever is between could send more.
const mostFills = 60

// takesFill reports whether a Fill may come.
func (e *end) takesFill(body []byte) bool {
	e.fills++
	return e.door == Stream && FillLen(body) <= MaxFill && e.fills <= mostFills
}

// pick has the record at hand opened by the key of that name, if there is one. Where
// records come in order no older key is needed any more.
func (e *end) pick(name int16) bool {
	i := slices.IndexFunc(e.keys, func(k *key) bool { return k.name == name })
	if e.at = nil; i < 0 {
		return false
	}
	if e.at = e.keys[i]; e.door == Stream {
		e.keys = slices.Delete(e.keys, i+1, len(e.keys))
	}
	return true
}

// Receive takes a plain message. Errors are ErrOrder, ErrMessage, ErrProof, at the client
// ErrElsewhere, at the origin ErrBusy, and at the gateway door ErrRepeated, which is to be
// ignored, and with it the record: nothing shows that the message has come before.
func (e *end) Receive(p Plain, body []byte, now time.Time) (ev Event, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !p.takes(body) {
		return 0, e.fail(ErrMessage)
	}
	if e.bare.in && p != Fill {
		return 0, e.fail(ErrOrder)
	}
	if ev, err = e.receive(p, body, now); err == ErrRepeated {
		return 0, err
	}
	return ev, e.fail(err)
}

// Open opens a record in place, of a message's number at the gateway door; nil without
// an error is one that was dropped unread. Errors are ErrRecord, ErrProof, and
// ErrRepeated, which is to be ignored.
func (e *end) Open(number uint32, sealed []byte) (plain []byte, err error) {
	n := uint64(number)
	if e.door == Stream {
		n = e.came.next
	}
	switch {
	case e.at != nil:
	case !e.atOrigin: // no Turn comes before what answers a Join
		e.mu.Lock()
		e.pick(e.first)
		e.mu.Unlock()
	case e.door == Stream:
		e.came.Take(n)
		fallthrough
	default: // nothing has come that says what records are
		return nil, nil
	}
	if plain, err = e.open(n, sealed); err == ErrRepeated {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		err = e.opened(e.at, e.came.next == n+1)
	}
	return plain, e.fail(err)
}

// open decrypts. ErrRepeated comes before that, and a number counts as come only when its
// record has opened. After ErrRecord the contents of sealed are lost.
func (e *end) open(number uint64, sealed []byte) ([]byte, error) {
	if !e.came.Fresh(number) {
		return nil, ErrRepeated
	}
	if e.at == nil || len(sealed) <= wire.RecordOverhead {
		return nil, ErrRecord
	}
	plain, err := e.decrypt(number, sealed)
	if err != nil {
		return nil, ErrRecord
	}
	e.came.Take(number)
	return plain, nil
}

func (e *end) decrypt(number uint64, sealed []byte) ([]byte, error) {
	if e.bare.in {
		return openBare(sealed)
	}
	return e.at.at(number).Open(sealed[:0], e.at.nonce[:], sealed, nil)
}

// opened notes that a record has opened by k. What is sealed next goes under the generation
// of the one with the highest number, to which a client has turned before.
func (e *end) opened(k *key, newest bool) error {
	if e.state == Dead {
		return ErrOrder
	}
	if k.used == 0 {
		if err := e.prove(k); err != nil {
			return err
		}
	}
	if k.used++; newest && k.of != nil && k != e.latest {
		e.latest, e.next = k, k.back
	}
	return nil
}

// fail ends the carrier's state and passes err on.
func (e *end) fail(err error) error {
	if err != nil {
		e.state = Dead
	}
	return err
}

// State is where the carrier stands.
func (e *end) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// Seal makes a record of the stream door in place, after Head has allowed it: b is
// wire.RecordHead bytes of room and then frames, at least one byte of them, and has
// wire.RecordOverhead bytes of capacity behind. The error is ErrSpent; b is not sealed then.
func (e *end) Seal(b []byte) ([]byte, error) {
	sealed, err := e.seal(e.number, b, wire.RecordHead, wire.MaxRecord)
	if err == nil {
		binary.BigEndian.PutUint16(sealed, uint16(len(sealed)-wire.RecordHead))
	}
	return sealed, err
}

// SealMessage makes a message of the gateway door in place, whose first head bytes,
// with what Head has appended, stay in the clear. Numbers must grow. The error is ErrSpent.
func (e *end) SealMessage(number uint32, b []byte, head int) ([]byte, error) {
	return e.seal(uint64(number), b, head, wire.MaxMessage)
}

func (e *end) seal(number uint64, b []byte, head, most int) ([]byte, error) {
	k := e.out
	if k == nil || number < e.number || k.used >= MaxRecords || len(b) <= head || len(b)+wire.RecordOverhead > most {
		return nil, ErrSpent
	}
	e.number, k.used = number+1, k.used+1
	if e.bare.out {
		return append(b, noTag[:]...), nil
	}
	b = k.at(number).Seal(b[:head], k.nonce[:], b[head:], nil)
	if e.bare.last {
		e.bare.out = true
		k.forget()
	}
	return b, nil
}

// RestWriter drops the writer's expanded cipher until the next record: the carrier is
// idle. The writer calls it.
func (e *end) RestWriter() {
	if e.out != nil {
		e.out.aead = nil
	}
}

// RestReader is RestWriter for the reader.
func (e *end) RestReader() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.keys {
		k.aead = nil
	}
}
