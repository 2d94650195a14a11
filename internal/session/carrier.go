package session

import (
	"encoding/binary"
	"sync"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// end is what both ends of a carrier have: the keys of both directions.
type end struct {
	seal.Hidden
	atOrigin bool

	mu    sync.Mutex // guards the following, and in.keys, in.latest and what keys have used
	state State
	place place
	id    []byte
	first int  // the name of the generation that the carrier joined by, or agreed on
	next  *key // that the writer is to turn to; nil: it has

	// This belongs to whoever holds the carrier's write lock.
	out sealer

	// These belong to whoever reads, one at a time.
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
	e.first = int(g.j)
	e.id = append([]byte{byte(g.cipher), byte(e.place.door)}, marshal(j)...)
	e.id = append(e.id, e.place.token[:]...)
}

// keys are those of both directions: what this end seals with, and what it opens with.
// Only what goes down is bound to the challenge.
func (e *end) keys(g *generation) (out, in *key, err error) {
	up, err := g.derive(labelUp, e.id)
	if err != nil {
		return nil, nil, err
	}
	down, err := g.derive(labelDown, e.id, e.place.o[:])
	out, in = &key{of: g, cipher: g.cipher, secret: up}, &key{of: g, cipher: g.cipher, secret: down}
	if e.atOrigin {
		out, in = in, out
	}
	return out, in, err
}

// turn has the writer go on under what it is to turn to, if anything, and says so.
func (e *end) turn(b []byte) []byte {
	tell := e.place.door == Gateway
	if e.next != nil {
		tell = tell || e.out.key != nil // a client knows what an origin answers a Join under
		e.out.key, e.next = e.next, nil
	}
	if tell {
		b = appendPlain(b, Turn, e.out.of.j)
	}
	return b
}

// pick has the record at hand opened by the key of that name, if there is one.
func (e *end) pick(name int) bool { return e.in.pick(name, e.place.door == Stream) }

// opened notes that the record of that number has opened, or not. What is sealed next
// at the origin is under the generation that the client has turned to last.
func (e *end) opened(number uint64, err error) error {
	if err != nil {
		if err != ErrRepeated {
			e.state = Dead
		}
		return err
	}
	k := e.in.at
	k.used++
	if k.of != nil && k != e.in.latest && e.in.came.next == number+1 {
		e.in.latest = k
		if k.back != nil {
			e.next, k.back = k.back, nil
		}
	}
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
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.in.keys {
		k.rest()
	}
}
