package session

import (
	"encoding/binary"
	"sync"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// end is what both ends of a carrier have: the keys of both directions.
type end struct {
	seal.Hidden
	atOrigin bool

	mu    sync.Mutex // guards the following
	state State
	place place
	id    []byte
	first *generation // that the carrier joined by, or agreed on; nil: not yet

	// These belong to whoever holds the carrier's write lock.
	out  sealer
	sent *generation // whose key out has; nil: none, or the early one

	// These belong to whoever reads, one at a time. Keys of in change under mu alone.
	in    opener
	count uint64 // records that have come, at the stream door
}

// begin binds the carrier's keys to its Join, or to the generation that it agreed on.
//
//	 0  cipher   1  0 AES-256-GCM, 1 ChaCha20-Poly1305
//	 1  door     1  1 stream, 2 gateway
//	 2  g        8  the generation that it joined by, or agreed on
//	10  n        4  of its Join; 0 if it agreed
//	14  c       16  of its Join; 0 if it agreed
//	30  token   51  that opened it, as bytes
func (e *end) begin(g *generation, j join) {
	j.G = g.name
	e.first = g
	e.id = append([]byte{byte(g.cipher), byte(e.place.door)}, marshal(j)...)
	e.id = append(e.id, e.place.token[:]...)
}

// key is of one direction. Only what goes down is bound to the challenge.
func (e *end) key(g *generation, up bool) (k *key, err error) {
	k = &key{of: g, cipher: Cipher(e.id[0])}
	if up {
		k.secret, err = g.derive(labelUp, e.id)
	} else {
		k.secret, err = g.derive(labelDown, e.id, e.place.o[:])
	}
	return k, err
}

// turn has the writer go on under g, unless that was erased this moment: the key before
// it is good, and a carrier without one is over.
func (e *end) turn(g *generation) bool {
	if g == e.sent {
		return true
	}
	if k, err := e.key(g, !e.atOrigin); err == nil {
		e.out.key, e.sent = k, g
	} else if e.sent == nil {
		e.state = Dead
	}
	return e.sent != nil
}

// turned is Head of a carrier that is Live: it turns to the first generation, and then
// to newest when that is another and fit.
func (e *end) turned(b []byte, newest *generation, now time.Time) ([]byte, bool) {
	g, tell := e.sent, e.place.door == Gateway
	switch {
	case g == nil:
		g, tell = e.first, tell || !e.atOrigin // a client knows what an origin answers under
	case newest != g && newest.fit(now):
		g, tell = newest, true
	}
	ok := e.turn(g)
	if ok && tell {
		b = appendPlain(b, Turn, e.sent.j)
	}
	return b, ok
}

// listen has the reader open what comes next under g.
func (e *end) listen(g *generation) error {
	k, err := e.key(g, e.atOrigin)
	if err == nil {
		e.in.turn(k, e.place.door == Gateway)
	}
	return err
}

// turnIn is told of a Turn. called finds a generation of the session.
func (e *end) turnIn(j byte, called func(byte) *generation) error {
	if e.in.pick(int(j)) {
		return nil
	}
	g := e.first
	if e.state == Live || g.j != j {
		g = called(j)
	}
	if g == nil {
		return ErrOrder
	}
	return e.listen(g)
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

// Seal makes a record of the stream door in place, after Head has allowed it: b is
// wire.RecordHead bytes of room and then frames, at least one byte of them, and has
// wire.RecordOverhead bytes of capacity behind. The error is ErrSpent; b is not sealed then.
func (e *end) Seal(b []byte) ([]byte, error) {
	sealed, err := e.out.seal(e.out.next, b, wire.RecordHead, wire.MaxRecord)
	if err == nil {
		binary.BigEndian.PutUint16(sealed, uint16(len(sealed)-wire.RecordHead))
	}
	return sealed, err
}

// SealMessage makes a message of the gateway door in place, whose first head bytes,
// with what Head has appended, stay in the clear. Numbers must grow. The error is ErrSpent.
func (e *end) SealMessage(number uint32, b []byte, head int) ([]byte, error) {
	return e.out.seal(uint64(number), b, head, wire.MaxMessage)
}

// RestWriter drops the writer's expanded cipher until the next record: the carrier is
// idle. The writer calls it.
func (e *end) RestWriter() { e.out.rest() }

// RestReader is RestWriter for the reader.
func (e *end) RestReader() {
	for _, k := range e.in.keys {
		k.rest()
	}
}
