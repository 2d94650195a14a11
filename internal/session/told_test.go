package session

import "testing"

// A client that was told the challenge agrees without waiting for it, and takes it once when it comes.
func TestAChallengeThatIsToldMayComeLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, joins := range map[string]bool{"agree": false, "join": true} {
		s := w.client(1)
		if joins {
			w.dial(s, 1, Stream, w.process).talk(t)
		}
		l := w.dial(s, 1, Stream, w.process)
		l.c.Told(l.o.Challenge())
		for _, err := range []error{l.up(""), l.down("")} {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		l.talk(t)
		if err := l.near.hear(appendPlain(nil, Challenge, l.c.o[:]...), w.now); err != ErrOrder {
			t.Errorf("%s: the challenge again: got %v, want %v", name, err, ErrOrder)
		}
	}
}

// What an edge tells in place of the challenge makes nothing but a carrier that ends.
func TestAForgedChallengeEndsTheCarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.c.Told([16]byte{1})
	if err := l.up(""); err != ErrProof {
		t.Errorf("the origin: got %v, want %v", err, ErrProof)
	}
	l = w.dial(w.client(1), 1, Stream, w.process)
	l.c.Told([16]byte{1})
	if err := l.down(""); err != ErrOrder {
		t.Errorf("the client: got %v, want %v", err, ErrOrder)
	}
}

// There is no challenge at the gateway door, also if somebody tells of one.
func TestNoChallengeIsToldAtTheGatewayDoor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Gateway, w.process)
	l.c.Told([16]byte{1})
	l.talk(t)
}

// A Fill is of the stream door, and of bounded length; nothing is kept of it.
func TestAFillIsIgnored(t *testing.T) {
	t.Parallel()
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		for n, want := range map[int]bool{0: d == Stream, 1: d == Stream, 60: d == Stream, MaxFill: d == Stream} {
			_, body, rest, err := Next(append(AppendFill(nil, n), 7))
			if err != nil || len(body) != n+fillHead || len(rest) != 1 {
				t.Fatalf("a Fill of %d bytes: got %d, %d more, and %v", n, len(body), len(rest), err)
			}
			for _, b := range [][]byte{body, body[:fillHead]} {
				l := w.dial(w.client(1), 1, d, w.process)
				l.c.Receive(Challenge, make([]byte, 16), w.now)
				if _, err := l.c.Receive(Fill, b, w.now); (err == nil) != want {
					t.Errorf("a Fill of %d bytes: got %v", n, err)
				}
			}
		}
		for name, body := range map[string][]byte{"no length": nil, "another length": {2, 1}, "too long": {MaxFill + 1}} {
			l := w.dial(w.client(1), 1, d, w.process)
			l.c.Receive(Challenge, make([]byte, 16), w.now)
			if _, err := l.c.Receive(Fill, body, w.now); err == nil {
				t.Errorf("%s: got nothing, want an error", name)
			}
		}
		if _, err := w.dial(w.client(1), 1, d, w.process).o.Receive(Fill, []byte{0}, w.now); (err == nil) != (d == Stream) {
			t.Errorf("an origin: got %v", err)
		}
	})
}

// Whoever is between can have neither end read Fills for ever.
func TestFillsAreFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	for name, end := range map[string]ends{"client": l.c, "origin": l.o} {
		for n := range mostFills + 1 {
			if _, err := end.Receive(Fill, []byte{0}, w.now); (err == nil) != (n < mostFills) {
				t.Errorf("the %s, after %d: got %v", name, n, err)
			}
		}
	}
}

// Both ends know what a user's carriers look as they do by, and other users' differs, and by another front or later.
func TestTheShapeIsAUsersSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b, other := w.dial(w.client(1), 1, Stream, w.process), w.dial(w.client(1), 1, Gateway, w.newOrigin(2)), w.dial(w.client(2), 2, Stream, w.process)
	if a.c.Shape("front", 1) != a.o.Shape("front", 1) || a.c.Shape("front", 1) != b.o.Shape("front", 1) {
		t.Error("a user's carriers differ")
	}
	for _, s := range [][32]byte{other.c.Shape("front", 1), a.c.Shape("another", 1), a.c.Shape("front", 2)} {
		if s == a.c.Shape("front", 1) {
			t.Error("another user's carriers, or those by another front or later, are alike")
		}
	}
}
