package session

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"culvert/internal/wire"
)

// connection is a TLS connection, as far as it exports.
func connection(secret string) Export {
	return func(label string, context []byte, length int) ([]byte, error) {
		return hkdf.Key(sha256.New, []byte(secret), context, label, length)
	}
}

func wordless(string, []byte, int) ([]byte, error) { return nil, errors.New("TLS exports nothing") }

// tell has from say the frame that is due, if one is, and to take it.
func (l *link) tell(from, to *wireEnd, export Export) error {
	m, f, err := from.word(l.w.now)
	if err != nil || m == nil {
		return err
	}
	if err := to.hear(m, l.w.now); err != nil {
		return err
	}
	return to.sealing().Bind(f, export, l.w.now)
}

// word is a message of the frame that is due; nil: none is.
func (w *wireEnd) word(now time.Time) ([]byte, wire.Frame, error) {
	head, _ := w.Head(nil, now)
	f, ok := w.sealing().Word()
	if !ok {
		return nil, f, nil
	}
	sealed, err := w.Seal(f.Append(make([]byte, wire.RecordHead)))
	return append(head, sealed...), f, err
}

// unseal has both ends do what they can for TLS alone to seal.
func (l *link) unseal(t testing.TB, near, far Export) {
	t.Helper()
	l.c.Unseal(near)
	for _, err := range []error{l.tell(l.near, l.far, far), l.tell(l.far, l.near, near), l.tell(l.near, l.far, far)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func live(t testing.TB, d Door) *link {
	t.Helper()
	w := newWorld(t)
	l := w.dial(w.client(1), 1, d, w.process)
	l.talk(t)
	return l
}

// shows reports whether what an end says can be read in what it writes.
func shows(t *testing.T, w *wireEnd, to *wireEnd, now time.Time) bool {
	t.Helper()
	const text = "\x00 which anybody may read"
	m, err := w.say(text, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.hear(m, now); err != nil || to.seen[len(to.seen)-1] != text {
		t.Fatalf("got %q, %v", to.seen[len(to.seen)-1], err)
	}
	return bytes.Contains(m, []byte(text))
}

func TestTLSAloneSealsWhereItEndsAtThePeer(t *testing.T) {
	l := live(t, Stream)
	l.unseal(t, connection("one"), connection("one"))
	for range 3 {
		if !shows(t, l.near, l.far, l.w.now) || !shows(t, l.far, l.near, l.w.now) {
			t.Error("a record is sealed")
		}
	}
	for _, k := range slices.Concat(l.c.keys, l.o.keys, []*key{l.c.out, l.o.out}) {
		if k.secret != [32]byte{} || k.aead != nil {
			t.Error("a key is left")
		}
	}
}

// Whoever ends TLS between has two connections, whatever it copies from one to the other.
func TestTLSThatEndsBetweenStaysSealed(t *testing.T) {
	for name, c := range map[string]struct {
		door      Door
		near, far Export
	}{
		"an edge":              {Stream, connection("one"), connection("two")},
		"no TLS at the origin": {Stream, connection("one"), nil},
		"no TLS at the client": {Stream, nil, connection("one")},
		"TLS exports nothing":  {Stream, wordless, wordless},
		"only one exports":     {Stream, connection("one"), wordless},
		"the gateway door":     {Gateway, connection("one"), connection("one")},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, c.door)
			l.unseal(t, c.near, c.far)
			if shows(t, l.near, l.far, l.w.now) || shows(t, l.far, l.near, l.w.now) {
				t.Error("a record is not sealed")
			}
			if later := l.w.now.Add(24 * time.Hour); l.c.Stale(later) || l.c.Over(later) || l.o.Over(later) {
				t.Error("it is to end")
			}
			l.w.now = l.w.now.Add(GenerationLife)
			l.again(t)
			l.talk(t)
			if l.o.out.of.name != l.c.session.current().name {
				t.Error("it does not turn any more")
			}
		})
	}
}

// A Bound is of one carrier: its token is in what TLS exports.
func TestTheBoundOfAnotherCarrierUnsealsNothing(t *testing.T) {
	l, other := live(t, Stream), live(t, Stream)
	other.w.tokens = 9
	other = other.w.dial(other.w.client(1), 1, Stream, other.w.process)
	other.talk(t)
	other.c.Unseal(connection("one"))
	f, _ := other.c.Word()
	if err := l.o.Bind(f, connection("one"), l.w.now); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.o.Word(); ok {
		t.Error("the origin takes it")
	}
}

// Whatever comes out of turn ends the carrier.
func TestNobodyBetweenUnsealsACarrier(t *testing.T) {
	head := []byte{0, 1 + wire.RecordOverhead}
	plain := slices.Concat(head, []byte{byte(wire.Pad)}, make([]byte, wire.RecordOverhead)) // and no tag
	one := connection("one")
	for name, does := range map[string]func(l *link) error{
		"a bare record before all": func(l *link) error { return l.far.hear(plain, l.w.now) },
		"one to the client":        func(l *link) error { return l.near.hear(plain, l.w.now) },
		"Bare without Bound, down": func(l *link) error { return l.c.Bind(wire.Frame{Kind: wire.Bare}, one, l.w.now) },
		"Bare without Bound, up":   func(l *link) error { return l.o.Bind(wire.Frame{Kind: wire.Bare}, one, l.w.now) },
		"a Bound to the client": func(l *link) error {
			return l.c.Bind(wire.Frame{Kind: wire.Bound, Body: make([]byte, 32)}, one, l.w.now)
		},
		"Bare before the origin's": func(l *link) error {
			l.c.Unseal(one)
			if err := l.tell(l.near, l.far, one); err != nil {
				return nil
			}
			return l.o.Bind(wire.Frame{Kind: wire.Bare}, one, l.w.now)
		},
		"a bare record before the client's Bare": func(l *link) error {
			l.c.Unseal(one)
			l.tell(l.near, l.far, one)
			l.tell(l.far, l.near, one)
			return l.far.hear(plain, l.w.now)
		},
		"a sealed record after Bare": func(l *link) error {
			l.unseal(t, one, one)
			sealed, err := l.near.say("text", l.w.now)
			if err != nil {
				return nil
			}
			sealed[len(sealed)-1] = 1
			return l.far.hear(sealed, l.w.now)
		},
		"Bare twice": func(l *link) error {
			l.unseal(t, one, one)
			return l.o.Bind(wire.Frame{Kind: wire.Bare}, one, l.w.now)
		},
		"Bound twice": func(l *link) error {
			l.unseal(t, one, one)
			return l.o.Bind(wire.Frame{Kind: wire.Bound, Body: make([]byte, 32)}, one, l.w.now)
		},
		"Bound again after one that differs": func(l *link) error {
			l.c.Unseal(one)
			if err := l.tell(l.near, l.far, connection("two")); err != nil {
				return nil
			}
			return l.o.Bind(wire.Frame{Kind: wire.Bound, Body: make([]byte, 32)}, one, l.w.now)
		},
		"a Turn after Bare, up": func(l *link) error {
			l.unseal(t, one, one)
			return l.far.hear(appendPlain(nil, Turn, l.c.out.of.j), l.w.now)
		},
		"a Turn after Bare, down": func(l *link) error {
			l.unseal(t, one, one)
			return l.near.hear(appendPlain(nil, Turn, l.c.out.of.j), l.w.now)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := live(t, Stream)
			if err := does(l); err == nil {
				t.Error("nothing happens")
			}
			if l.near.State() != Dead && l.far.State() != Dead {
				t.Error("both ends live")
			}
		})
	}
}

// The session agrees anew by a carrier that turns no more.
func TestASessionTurnsWhileACarrierIsBare(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l, other := w.dial(s, 1, Stream, w.process), w.dial(s, 1, Stream, w.process)
	l.talk(t)
	other.talk(t)
	l.c.Unseal(connection("one"))
	if err := l.tell(l.near, l.far, connection("one")); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(GenerationLife)
	other.again(t) // between Bound and its answer
	l.up("turned")
	for range 2 {
		if err := errors.Join(l.tell(l.far, l.near, connection("one")), l.tell(l.near, l.far, connection("one"))); err != nil {
			t.Fatal(err)
		}
	}
	w.now = w.now.Add(GenerationLife)
	l.again(t)
	if !shows(t, l.near, l.far, w.now) || !shows(t, l.far, l.near, w.now) {
		t.Error("a record is sealed")
	}
	other.talk(t)
	if other.c.out.of != s.current() {
		t.Error("the other carrier has not turned")
	}
}

func TestABareCarrierEndsBeforeItsGenerationIsErased(t *testing.T) {
	l := live(t, Stream)
	l.unseal(t, connection("one"), connection("one"))
	born := l.w.now
	for _, c := range []struct {
		age        time.Duration
		worn, over bool
	}{{0, false, false}, {bareLife - 1, false, false}, {bareLife, true, false}, {bareKept - 1, true, false}, {bareKept, true, true}, {-1, true, true}} {
		now := born.Add(c.age)
		if l.c.Stale(now) != c.worn || l.c.Over(now) != c.over || l.o.Over(now) != c.over {
			t.Errorf("after %v: got %v, %v and %v; want %v, %v at both ends", c.age, l.c.Stale(now), l.c.Over(now), l.o.Over(now), c.worn, c.over)
		}
	}
	if bareKept >= GenerationKept {
		t.Error("it outlives its generation")
	}
}

func TestBareRecordsAreBoundedAsSealedOnes(t *testing.T) {
	l := live(t, Stream)
	l.unseal(t, connection("one"), connection("one"))
	l.c.out.used = MaxRecords
	if _, err := l.near.say("one more", l.w.now); !errors.Is(err, ErrSpent) {
		t.Errorf("got %v, want %v", err, ErrSpent)
	}
}
