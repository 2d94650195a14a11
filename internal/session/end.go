package session

import (
	"sync"
	"time"
)

// end is what both ends of a carrier have: the keys of both directions. Its writer's
// fields belong to whoever holds the carrier's write lock, its reader's to whoever
// reads, one at a time; the rest is guarded by mu.
type end struct {
	sendLabel, recvLabel string

	mu     sync.Mutex
	state  State
	place  place
	cipher Cipher
	id     []byte
	due    *turn // what the writer is to turn to
	early  bool  // what comes is under an early key

	// The writer's.
	out  Sealer
	sent *generation // whose key out has; nil: none, or the early one

	// The reader's.
	in    Opener
	name  uint16 // of the key of the record at hand
	count uint64 // records that have come, at the stream door
}

// turn is a key that the writer is told of by the reader.
type turn struct {
	g      *generation
	key    Key
	silent bool // the peer knows from what went before
}

// Names of keys that are no generation's, above all j: the early one, and that of a
// message which is to be dropped unread.
const (
	earlyName = 256 + iota
	dropName
)

// begin binds the carrier's keys to its Join, or to the generation that it agreed on.
func (e *end) begin(g *generation, j join) {
	j.g = g.name
	e.cipher, e.id = g.cipher, carrierID(g.cipher, &e.place, j)
}

// key is of one direction. Only what goes down is bound to the challenge.
func (e *end) key(g *generation, label string) (Key, error) {
	if label == labelDown {
		return g.derive(label, e.id, e.place.o[:])
	}
	return g.derive(label, e.id)
}

// turnTo has the writer turn to g, from its next call of Head on.
func (e *end) turnTo(g *generation, silent bool) error {
	key, err := e.key(g, e.sendLabel)
	if err == nil {
		e.due = &turn{g, key, silent}
	}
	return err
}

// turned takes what is due, or turns to the newest generation if that is fit, and
// appends what the peer must hear before the next
func (e *end) turned(b []byte, newest *generation, now time.Time) []byte {
	if e.due == nil && newest != e.sent && newest.fit(now) {
		_ = e.turnTo(newest, false) // it may have been erased this moment: the old key is good
	}
	tell := e.place.door == Gateway
	if d := e.due; d != nil {
		e.out.Turn(e.cipher, d.key)
		e.sent, e.due = d.g, nil
		tell = tell || !d.silent
	}
	if tell {
		b = appendPlain(b, Turn, e.sent.j)
	}
	return b
}

// listen has the reader open under g from now on.
func (e *end) listen(g *generation) error {
	key, err := e.key(g, e.recvLabel)
	if err != nil {
		return err
	}
	e.name = uint16(g.j)
	e.in.Turn(e.name, e.cipher, key, e.place.door == Gateway)
	return nil
}

// numbered is the number of a record that has come: a message's, or by count.
func (e *end) numbered(message uint32) uint64 {
	if e.place.door == Gateway {
		return uint64(message)
	}
	e.count++
	return e.count - 1
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

// Seal makes a record of the stream door in place; see Sealer.Seal. Head was
// called before and allowed it.
func (e *end) Seal(b []byte) ([]byte, error) { return e.out.Seal(b) }

// SealMessage makes a message of the gateway door in place, whose first head bytes,
// with what Head has appended, stay in the clear.
func (e *end) SealMessage(number uint32, b []byte, head int) ([]byte, error) {
	return e.out.SealMessage(number, b, head)
}

// RestWriter drops the writer's expanded cipher until the next  The writer calls it.
func (e *end) RestWriter() { e.out.Rest() }

// RestReader is RestWriter for the reader.
func (e *end) RestReader() { e.in.Rest() }
