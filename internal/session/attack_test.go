package session

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"culvert/internal/seal"
	"culvert/internal/wire"
)

// copyTo opens another carrier at o by the same token, as an edge may that has it.
func (l *link) copyTo(o *Origin, d Door) *wireEnd {
	far := o.Carrier(d, l.c.place.token, 1, l.w.pair(1)[1], l.w.now)
	return &wireEnd{ends: far, door: d}
}

func TestAnAgreeMeansItsCarrierAlone(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		l := w.dial(w.client(1), 1, d, w.process)
		if d == Stream {
			l.down("")
		}
		m, err := l.near.say("open", w.now)
		if err != nil {
			t.Fatal(err)
		}
		other := w.dial(w.client(1), 1, d, w.process)
		if err := other.far.hear(m, w.now); !errors.Is(err, ErrProof) {
			t.Errorf("by another token: got %v, want %v", err, ErrProof)
		}
		for _, far := range []*wireEnd{l.copyTo(w.newOrigin(1), Stream), l.copyTo(w.process, Stream), l.copyTo(w.process, 3-d)} {
			if d == Gateway && far.door == Gateway || far.door == Gateway && d == Stream {
				continue
			}
			far.say("", w.now)
			if err := far.hear(strip(m, d), w.now); !errors.Is(err, ErrProof) {
				t.Errorf("by another challenge or door: got %v, want %v", err, ErrProof)
			}
		}
	})
}

// strip is a message of one door as the stream door has it.
func strip(m []byte, d Door) []byte {
	if d == Gateway {
		return m[4 : 4+wire.RecordHead+agreeLen]
	}
	return m
}

func TestACopiedFirstFlightProvesNothing(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Gateway, w.process)
	m, _ := l.near.say("open", w.now)
	far := l.copyTo(w.newOrigin(2), Gateway) // it does not know that the token was taken
	if err := far.hear(m, w.now); err != nil || far.State() != Answered {
		t.Fatalf("got %v, %v", err, far.State())
	}
	l.far.hear(m, w.now)
	l.talk(t)
	more, _ := l.near.say("more", w.now)
	if err := far.hear(more, w.now); err == nil || far.State() == Live {
		t.Error("a copy has proved itself")
	}
}

func TestAJoinIsTakenOnce(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		w.dial(s, 1, d, w.process).talk(t)
		l := w.dial(s, 1, d, w.process)
		copied := l.copyTo(w.process, d)
		m, err := l.near.say("mine", w.now)
		if err != nil {
			t.Fatal(err)
		}
		for i, far := range []*wireEnd{l.far, copied} {
			if _, ok := far.Head(nil, w.now); ok {
				t.Errorf("carrier %d may seal before anything is proved", i)
			}
		}
		if err := l.far.hear(m, w.now); err != nil {
			t.Fatal(err)
		}
		if err := copied.hear(m, w.now); !errors.Is(err, ErrProof) || len(copied.seen) > 0 || copied.State() != Dead {
			t.Errorf("got %v, %q, %v", err, copied.seen, copied.State())
		}
	})
}

func TestACarrierThatProvesNothingIsNothing(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		first := w.dial(s, 1, d, w.process)
		first.talk(t)
		g := first.o.Session().newest()
		far := w.dial(s, 1, d, w.process)
		if _, err := far.o.Receive(Join, joinBy(g, 1<<32-1), w.now); err != nil {
			t.Fatal(err)
		}
		if _, err := far.o.Open(0, make([]byte, 40)); err == nil || far.o.State() != Dead {
			t.Errorf("garbage opens: %v", err)
		}
		if !far.o.Late(w.now.Add(ProveWithin)) || first.o.Late(w.now.Add(time.Hour)) {
			t.Error("the wrong carrier is late")
		}
		w.dial(s, 1, d, w.process).talk(t) // no n was taken by it
	})
}

func TestForgedPlainMessagesTouchNoSession(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	keep := w.dial(s, 1, Stream, w.process)
	keep.talk(t)
	g := s.current()
	for p, n := range plainLen {
		if p == 0 {
			continue
		}
		for _, state := range []string{"new", "live"} {
			l := w.dial(s, 1, Stream, w.process)
			if state == "live" {
				l.talk(t)
			}
			l.c.Receive(Plain(p), bytes.Repeat([]byte{7}, n), w.now)
			l.o.Receive(Plain(p), bytes.Repeat([]byte{7}, n), w.now)
			l.up("x")
			l.down("x")
		}
	}
	if s.current() != g || w.process.Sessions() != 1 || keep.o.Session().newest().name != g.name {
		t.Error("a session changed")
	}
	keep.talk(t)
	w.dial(s, 1, Stream, w.process).talk(t)
}

func TestALinkTouchesNoOtherSession(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		mine, thief := w.client(1), w.client(1)
		l := w.dial(mine, 1, d, w.process)
		l.talk(t)
		w.dial(thief, 1, d, w.process).talk(t)
		thief.i, thief.process = mine.i, mine.process // even if it knows I
		var bad *link
		for _, early := range []bool{true, false} {
			bad = w.dial(thief, 1, d, w.process)
			bad.c.unknown = true // it agrees
			if d == Stream {
				bad.down("")
			}
			if early || d == Gateway {
				bad.up("early") // under another root
			}
			bad.settle()
			bad.up("reset")
			if bad.far.State() == Live || len(bad.far.seen) > 0 {
				t.Errorf("another's session: %v, %q", bad.far.State(), bad.far.seen)
			}
		}
		thief.root = [32]byte{}
		bad = w.dial(thief, 1, d, w.process)
		bad.c.unknown = true
		if err := bad.settle(); err == nil {
			t.Error("a session that is proved begins again")
		}
		l.talk(t)
		w.dial(mine, 1, d, w.process).talk(t)
	})
}

// Whoever has the master secret answers as the origin; the session that lives goes on elsewhere.
func TestTheMasterSecretTakesOverNoSession(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Stream, w.process)
	l.talk(t)
	w.now = w.now.Add(GenerationLife)
	false1 := w.newOrigin(1)
	false1.process = w.process.process
	bad := w.dial(s, 1, Stream, false1)
	bad.settle()
	if bad.near.events&Restarted == 0 {
		t.Error("the client takes another's session for its own")
	}
	impostor := NewClient(w.pair(1)[0], AESGCM) // it has all links
	impostor.i, impostor.root, impostor.process, impostor.owner = l.o.session.i, [32]byte{1}, w.process.process, s.owner
	mine := w.dial(impostor, 1, Stream, w.process)
	mine.settle()
	mine.up("reset")
	if mine.far.State() == Live || len(mine.far.seen) > 0 {
		t.Error("an impostor has taken the session over")
	}
}

func TestAnothersGenerationIsUnknown(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	w.dial(s, 1, Stream, w.process).talk(t)
	l := w.dial(w.client(2), 2, Stream, w.process)
	if ev, err := l.o.Receive(Join, joinBy(s.current(), 9), w.now); err != nil || ev != Speak || l.o.State() != Unproven {
		t.Errorf("got %v %v %v", ev, err, l.o.State())
	}
}

func TestAGenerationIsErased(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Stream, w.process)
	l.talk(t)
	l.o.Session().Hold()
	var near, far []*generation
	for range 3 {
		near, far = append(near, s.current()), append(far, l.o.Session().newest())
		w.now = w.now.Add(GenerationLife)
		l.again(t)
		l.talk(t)
		w.process.Sweep(w.now)
	}
	for i := range near {
		if got, want := far[i].secret == [32]byte{}, i < 2; near[i].secret != [32]byte{} || got != want {
			t.Errorf("generation %d of 4: erased %v at the origin, want %v; %x at the client", i, got, want, near[i].secret)
		}
	}
	last := []*generation{s.current(), l.o.Session().newest()}
	w.now = w.now.Add(GenerationKept)
	s.Expire(w.now)
	w.process.Sweep(w.now)
	if last[0].secret != [32]byte{} || last[1].secret != [32]byte{} || len(l.o.Session().generations) > 0 {
		t.Error("a generation outlives its time")
	}
	l.talk(t) // its carriers do, too, by keys of their own
}

func TestALinkReadsNothingRecorded(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.down("")
	m, _ := l.near.say("open", w.now)
	_, body, _, _ := Next(m)
	thief := w.pair(1)[0].Handshake(false, l.c.place.prologue(), nil) // the user's key where the origin's was
	if _, _, _, err := thief.ReadMessage(nil, body[macLen:]); err == nil {
		t.Error("the link opens an Agree")
	}
}

// Later the origin's key opens a recorded Agree, and with it the early records, but not its answer.
func TestTheMasterSecretReadsEarlyBytesOnly(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.down("")
	m, _ := l.near.say("open", w.now)
	_, body, rest, _ := Next(m)
	hs, h, err := l.o.read(body, l.c.place, w.now)
	if err != nil {
		t.Fatal(err)
	}
	early := &end{place: place{door: Stream}}
	early.set(earlyKey(&h, [32]byte{}))
	_, sealed, _, _ := Next(rest)
	if plain, err := early.open(0, bytes.Clone(sealed)); err != nil || string(plain) != "open" {
		t.Fatalf("got %q %v: the table says that early bytes can be read", plain, err)
	}
	l.far.hear(m, w.now)
	_, first, second, err := hs.WriteMessage(nil, make([]byte, answerLen)) // another ephemeral key
	if err != nil || newGeneration(hs, first, second, [32]byte{}, &h, w.now).secret == l.o.Session().newest().secret {
		t.Error("the same generation comes again")
	}
}

func TestANewGenerationHealsTheSession(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Stream, w.process)
	l.talk(t)
	root, old := s.root, s.current().secret
	w.now = w.now.Add(GenerationLife)
	l.again(t)
	for name, guess := range map[string][32]byte{"root": root, "secret": old} {
		if g := (&generation{secret: guess}); mustKey(g, l.c.id()) == mustKey(s.current(), l.c.id()) {
			t.Errorf("what was read from memory, the %s, gives the next generation's keys", name)
		}
	}
}

// joinBy is the body of a Join.
func joinBy(g *generation, n uint32) []byte {
	b := binary.BigEndian.AppendUint32(bytes.Clone(g.name[:]), n)
	return append(b, make([]byte, 16)...)
}

func mustKey(g *generation, id []byte) [32]byte { return seal.Must(g.derive("culvert 2 up", id...)) }

func TestNothingButRecordsAfterThePlainMessages(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		l := w.dial(w.client(1), 1, d, w.process)
		l.talk(t)
		secret := "twenty bytes of text"
		for _, e := range []*wireEnd{l.near, l.far} {
			m, err := e.say(secret, w.now)
			if err != nil || bytes.Contains(m, []byte(secret[:8])) || len(m) > len(secret)+4+3+wire.RecordOverhead {
				t.Errorf("got %d bytes, %v", len(m), err)
			}
		}
	})
}
