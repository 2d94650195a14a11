package session

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"culvert/internal/seal"
)

func TestAUsersSessionsAreBounded(t *testing.T) {
	w := newWorld(t)
	mine := w.client(2)
	w.dial(mine, 2, Stream, w.process).talk(t)
	begun := w.dial(w.client(1), 1, Stream, w.process)
	begun.talk(t)
	begun.o.Session().Hold()
	for i := range 2 * UserSessions {
		l := w.dial(w.client(1), 1, Stream, w.process)
		l.settle()
		if i%2 == 0 {
			l.talk(t) // nobody holds it
		}
	}
	if n := len(w.process.users[1]); n > UserSessions+UserUnproven {
		t.Errorf("got %d sessions, want %d at most", n, UserSessions+UserUnproven)
	}
	begun.talk(t)
	w.dial(mine, 2, Stream, w.process).talk(t)
	if len(w.process.users[2]) != 1 {
		t.Error("another user's session is gone")
	}
	for range UserUnproven { // all that is left has proved nothing
		w.dial(w.client(1), 1, Stream, w.process).settle()
	}
	begun.talk(t)
	for _, s := range w.process.users[1] {
		s.held = 0
	}
	w.process.Sweep(w.now.Add(24 * time.Hour))
	if n := w.process.Sessions(); n > 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// Whoever has a link, too, and holds as many sessions as there may be keeps no other device out: of those
// the one goes that has moved nothing for longest, and the busy ones last.
func TestHeldSessionsKeepNoOtherDeviceOut(t *testing.T) {
	w := newWorld(t)
	var all []*Session
	gone := map[int]bool{}
	for i := range UserSessions {
		l := w.dial(w.client(1), 1, Stream, w.process)
		l.talk(t)
		s := l.o.Session()
		s.Hold()
		s.OnDisplaced(func() { gone[i] = true })
		s.Moved(w.now.Add(-time.Duration(i) * time.Minute / UserSessions).UnixNano())
		s.Living(1)
		all = append(all, s)
	}
	quietest, idle := UserSessions-1, 3
	all[idle].Living(-1)
	device := func() *Session {
		l := w.dial(w.client(1), 1, Stream, w.process)
		if l.settle(); len(gone) > 0 && !gone[idle] {
			t.Error("got a session displaced by one that has proved nothing")
		}
		l.talk(t)
		l.o.Session().Hold()
		l.o.Session().Living(1)
		return l.o.Session()
	}
	device()
	if len(gone) != 1 || !gone[idle] || !all[idle].dropped.Load() {
		t.Errorf("got %v gone, want the one without tunnels", gone)
	}
	device()
	if !gone[quietest] || len(gone) != 2 {
		t.Errorf("got %v gone, want the one that has moved nothing for longest", gone)
	}
	told := false
	if all[quietest].OnDisplaced(func() { told = true }); !told {
		t.Error("got somebody who came late not told")
	}
	if n := len(w.process.users[1]); n != UserSessions {
		t.Errorf("got %d sessions, want %d", n, UserSessions)
	}
}

// A carrier outlives that its session agrees too often: the origin does not answer.
func TestAnAgainTooManyIsNotAnswered(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(t)
	w.now = w.now.Add(GenerationLife)
	for l.o.Session().mayRenew(w.now) {
	}
	body, ok := l.c.Again(w.now)
	if !ok {
		t.Fatal("it does not agree again")
	}
	if answer, err := l.o.Again(body, w.now); answer != nil || err != nil {
		t.Errorf("got %x and %v, want neither", answer, err)
	}
	l.talk(t)
}

func TestStrangersTakeNoShare(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.process.cfg.Allow = func(uint32, time.Time) bool { asked++; return true }
	for range 100 {
		l := w.dial(w.client(1), 1, Stream, w.process)
		l.down("")
		if err := l.far.hear(appendPlain(nil, Agree, make([]byte, agreeLen)...), w.now); !errors.Is(err, ErrProof) {
			t.Fatalf("got %v", err)
		}
	}
	if asked != 0 || w.process.Sessions() != 0 {
		t.Errorf("garbage cost %d agreements and %d sessions", asked, w.process.Sessions())
	}
}

// A session that lives is renewed whatever others of its user's cost the origin, and by itself
// it costs little.
func TestASessionIsRenewedBesideAnyFloodOfItsUsers(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(t)
	w.process.cfg.Allow = func(uint32, time.Time) bool { return false }
	s, renewed := l.o.Session(), 0
	for range 100 {
		if s.mayRenew(w.now) {
			renewed++
		}
	}
	if most := len(renewals{}.at); renewed != most {
		t.Errorf("got %d renewals in a row, want %d", renewed, most)
	}
	w.now = w.now.Add(GenerationLife)
	l.again(t)
	if other := w.dial(w.client(1), 1, Stream, w.process); other.o.mayAgree(place{}, w.now) {
		t.Error("got another agreement of the user's computed, want it refused")
	}
}

func TestATunnelBeginsOnce(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(t)
	s := l.o.Session()
	for _, n := range []uint32{1, 3, 2, 5000} {
		if !s.Begin(n) || s.Begin(n) {
			t.Errorf("tunnel %d did not begin once", n)
		}
	}
	if s.Begin(4) || s.Begin(0) {
		t.Error("a tunnel began that is too old to tell, or none")
	}
}

func TestEveryBitOfAMessageCounts(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		w.dial(s, 1, d, w.process).talk(t)
		for i := 0; ; i++ {
			l := w.dial(s, 1, d, w.process)
			m, err := l.near.say("text", w.now)
			if err != nil {
				t.Fatal(err)
			}
			if i == 8*len(m) {
				return
			}
			m[i/8] ^= 1 << (i % 8)
			if l.far.hear(m, w.now); l.far.State() == Live || len(l.far.seen) > 0 {
				t.Fatalf("bit %d may be changed", i)
			}
		}
	})
}

func TestMessagesAreRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": {}, "a byte": {0}, "zero": {0, 0}, "no such kind": {0, 8}, "a Fill without its length": {0, 7}, "a Fill cut short": {0, 7, 2, 1}, "shortest but one": {0, 16},
		"cut": {0, 17, 1}, "cut plain": {0, 5}, "too long": binary.BigEndian.AppendUint16(nil, 65535),
	} {
		if _, _, _, err := Next(b); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w := newWorld(t)
	for p := range plainLen {
		l := w.dial(w.client(1), 1, Stream, w.process)
		if _, err := l.o.Receive(Plain(p), make([]byte, 200), w.now); err == nil {
			t.Errorf("the origin takes kind %d of any length", p)
		}
		l = w.dial(w.client(1), 1, Stream, w.process)
		if _, err := l.c.Receive(Plain(p), nil, w.now); err == nil {
			t.Errorf("the client takes kind %d of no length", p)
		}
	}
	for _, h := range [][]byte{nil, make([]byte, 51), append(make([]byte, 48), 4, 0)} {
		if _, err := parseHello(h); err == nil {
			t.Errorf("%x is a hello", h)
		}
	}
	for _, a := range [][]byte{nil, append(make([]byte, 24), 2)} {
		l := w.dial(w.client(1), 1, Gateway, w.process)
		l.c.Head(nil, w.now)
		hs, _, err := l.o.read(l.c.try.message, l.o.place, w.now)
		if err != nil {
			t.Fatal(err)
		}
		sealed, _, _, err := hs.WriteMessage(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := l.c.session.answered(l.c.try, sealed); !errors.Is(err, ErrMessage) {
			t.Errorf("%x is an answer: %v", a, err)
		}
	}
}

func TestAPairNeedsKeys(t *testing.T) {
	if _, err := seal.NewClientPair(seal.ClientKeys{Private: seal.PrivateKey{1}}); err == nil {
		t.Error("a point of low order is a key")
	}
}

// Two that begin one session at once, by the same link and I: one of them gets it.
func TestOfTwoBeginningsOneCounts(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		mine, other := w.client(1), w.client(1)
		other.i = mine.i
		a, b := w.dial(mine, 1, d, w.process), w.dial(other, 1, d, w.process)
		for _, l := range []*link{a, b} { // both have an answer, and neither has proved anything
			if err := l.settle(); err != nil && d == Stream {
				t.Fatal(err)
			}
		}
		live := 0
		for _, l := range []*link{a, b} {
			l.up("mine")
			if l.up("mine"); l.far.State() == Live {
				live++
			}
		}
		if s := a.o.Session(); live != 1 || w.process.Sessions() != 1 || !s.proven() {
			t.Errorf("%d of two beginnings count", live)
		}
	})
}

// Two tries that are both answered, and proved in the other order: the later one stays.
func TestAnOlderGenerationIsNotProvedAnew(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	w.dial(s, 1, Stream, w.process).talk(t)
	a, b := w.dial(s, 1, Stream, w.process), w.dial(s, 1, Stream, w.process)
	a.c.unknown, b.c.unknown = true, true // both agree
	a.settle()
	w.now = w.now.Add(time.Second)
	b.settle()
	newest := s.current().name
	b.talk(t)
	a.talk(t)
	if got := a.o.Session().newest().name; got != newest || s.current().name != newest {
		t.Error("the ends do not agree on which is the newest")
	}
	w.dial(s, 1, Stream, w.process).talk(t)
}

func TestAnAgreeIsBoundToItsDoorAndToWhereItStands(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		w.now = w.now.Add(GenerationLife)
		inside, ok := l.c.Again(w.now)
		if !ok {
			t.Fatal("it does not agree again")
		}
		at := l.c.place
		plain := s.offer(l.c, at, w.now)
		for name, test := range map[string]struct {
			body []byte
			door Door
			want error
		}{"as it is": {plain.message, d, nil}, "another door": {plain.message, 3 - d, ErrProof}, "from a record": {inside, d, ErrProof}} {
			far := w.process.Carrier(test.door, at.token, 1, w.pair(1)[1], w.now)
			far.o = at.o
			if _, err := far.Receive(Agree, test.body, w.now); !errors.Is(err, test.want) {
				t.Errorf("%s: got %v, want %v", name, err, test.want)
			}
		}
		if _, err := l.o.Again(plain.message, w.now); !errors.Is(err, ErrProof) {
			t.Errorf("into a record: got %v", err)
		}
	})
}

func TestAJoinMeansItsTokensCarrierAlone(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		w.dial(s, 1, d, w.process).talk(t)
		a, b := w.dial(s, 1, d, w.process), w.dial(s, 1, d, w.process)
		m, err := a.near.say("mine", w.now)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.far.hear(m, w.now); err == nil || b.far.State() == Live || len(b.far.seen) > 0 {
			t.Errorf("by another token's carrier: got %v, %v", err, b.far.State())
		}
		if err := a.far.hear(m, w.now); err != nil || a.far.State() != Live {
			t.Errorf("by its own, after that: got %v, %v", err, a.far.State())
		}
	})
}

func TestLenIsWhatAPlainMessageTakes(t *testing.T) {
	for p := range 256 {
		n, ok := Plain(p).Len()
		if want := p >= int(Challenge) && p <= int(Fill); ok != want {
			t.Errorf("kind %d is a plain message: got %v, want %v", p, ok, want)
		}
		if _, body, rest, err := Next(append(appendPlain(nil, Plain(p), make([]byte, n)...), 7)); ok && (err != nil || len(body) != n || len(rest) != 1) {
			t.Errorf("kind %d: got %d bytes, %d more, and %v", p, len(body), len(rest), err)
		}
	}
}

// A session whose place another has taken seals nothing more, and its carrier says so.
func TestACarrierOfASessionThatWasDroppedIsDead(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		l := w.dial(w.client(1), 1, d, w.process)
		l.down("")
		l.up("open")
		for range UserUnproven {
			w.dial(w.client(1), 1, d, w.process).settle()
		}
		if !l.o.Session().dropped.Load() {
			t.Fatal("the session is there")
		}
		if _, ok := l.o.Head(nil, w.now); ok || l.o.State() != Dead {
			t.Errorf("records may follow: %v; the carrier is %v", ok, l.o.State())
		}
	})
}

// At the gateway door, an edge may put what was said before in the place of what goes before
// a record: that the message has come must not be believed then.
func TestAPlainMessageThatIsRepeatedHidesNoRecord(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Gateway, w.process)
	l.talk(t) // it agrees
	m, err := l.near.say("more", w.now)
	if err != nil {
		t.Fatal(err)
	}
	join := make([]byte, joinLen)
	join[joinLen-17] = 1
	if ev, err := l.o.Receive(Join, join, w.now); ev != 0 || err != ErrRepeated {
		t.Errorf("a Join after an Agree: got %v and %v, want %v", ev, err, ErrRepeated)
	}
	if err := l.far.hear(m, w.now); err != nil || l.far.seen[len(l.far.seen)-1] != "more" {
		t.Errorf("the message itself: got %v", err)
	}

	w.process = w.newOrigin(1) // restarted
	l = w.dial(l.c.session, 1, Gateway, w.process)
	first, err := l.near.say("", w.now)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.far.hear(first, w.now); err != nil {
		t.Fatal(err)
	}
	if ev, err := l.o.Receive(Join, join, w.now); ev != 0 || err != ErrRepeated {
		t.Errorf("a Join that comes twice: got %v and %v, want %v", ev, err, ErrRepeated)
	}
	l.talk(t)
	agree := l.o.agreed.message
	if ev, err := l.o.Receive(Agree, agree, w.now); ev != 0 || err != ErrRepeated || len(agree) == 0 {
		t.Errorf("an Agree whose early records nobody can open: got %v and %v, want %v", ev, err, ErrRepeated)
	}
	if ev, err := l.c.Receive(Unknown, nil, w.now); ev != 0 || err != ErrRepeated {
		t.Errorf("Unknown again: got %v and %v, want %v", ev, err, ErrRepeated)
	}
	l.talk(t)
}
