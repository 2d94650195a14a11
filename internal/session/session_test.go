package session

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"culvert/internal/wire"
)

func TestAFirstCarrierAgreesAndFurtherOnesJoin(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		first := w.dial(s, 1, d, w.process)
		first.talk(t)
		for range 3 {
			l := w.dial(s, 1, d, w.process)
			l.talk(t)
			if l.o.Session() != first.o.Session() {
				t.Error("a further carrier has another session")
			}
		}
		if n := w.process.Sessions(); n != 1 {
			t.Errorf("got %d sessions, want 1", n)
		}
	})
}

func TestEarlyRecordsComeWithTheAgree(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		l := w.dial(w.client(1), 1, d, w.process)
		if d == Stream {
			l.down("")
		}
		if err := l.up("open"); err != nil || len(l.far.seen) != 1 || !l.o.Early() || l.far.State() != Answered {
			t.Fatalf("got %v %q, early %v, %v", err, l.far.seen, l.o.Early(), l.far.State())
		}
		if err := l.down("first bytes"); err != nil || len(l.near.seen) != 1 {
			t.Fatalf("got %v %q", err, l.near.seen)
		}
		if err := l.up("more"); err != nil || l.o.Early() || l.far.State() != Live {
			t.Fatalf("got %v, early %v, %v", err, l.o.Early(), l.far.State())
		}
	})
}

func TestTheSessionIsAgreedOnAgainAndBothTurn(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		a, b := w.dial(s, 1, d, w.process), w.dial(s, 1, d, w.process)
		a.talk(t)
		b.talk(t)
		a.o.Session().Hold()
		for round := range 4 {
			old := s.current()
			if _, ok := a.c.Again(w.now); ok {
				t.Error("agrees again too soon")
			}
			w.now = w.now.Add(GenerationLife)
			a.again(t)
			w.process.Sweep(w.now)
			if n := len(a.o.Session().generations); n != 2 {
				t.Errorf("round %d: got %d generations, want the newest and the one before", round, n)
			}
			for _, l := range []*link{a, b, w.dial(s, 1, d, w.process)} {
				l.talk(t)
			}
			if g := s.current(); g == old || a.c.out.of != g || b.c.out.of != g || a.o.out.of.name != g.name || b.o.out.of.name != g.name {
				t.Errorf("round %d: not all have turned", round)
			}
		}
	})
}

func TestATryThatCameToNothingDisplacesNothing(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		var others []*link
		for range 3 {
			other := w.dial(s, 1, d, w.process)
			other.talk(t)
			others = append(others, other)
		}
		w.now = w.now.Add(GenerationLife)
		for _, other := range others { // the answers are lost with their carriers
			body, ok := other.c.Again(w.now)
			if !ok {
				t.Fatal("does not try")
			}
			if _, err := other.o.Again(body, w.now); err != nil {
				t.Fatal(err)
			}
			l.talk(t)
			other.c.Close()
		}
		l.again(t)
		l.talk(t)
		if l.o.out.of.name != s.current().name {
			t.Error("they have not turned")
		}
	})
}

func TestATryStaysUntilItIsAnsweredOrItsCarrierIsOver(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	var links []*link
	for range 3 {
		l := w.dial(s, 1, Stream, w.process)
		l.talk(t)
		links = append(links, l)
	}
	a, b, third := links[0], links[1], links[2]
	w.now = w.now.Add(GenerationLife)
	for _, step := range []struct {
		what string
		do   func()
		from *link
		want bool
	}{
		{"the first", func() {}, a, true},
		{"another at once", func() {}, b, false},
		{"the same carrier, later", func() { w.now = w.now.Add(tryAgain) }, a, false},
		{"another, later", func() {}, b, true},
		{"while a carrier that does not try is over", a.c.Close, third, false},
		{"when the carrier that tries is over", b.c.Close, third, true},
	} {
		step.do()
		if _, ok := step.from.c.Again(w.now); ok != step.want {
			t.Errorf("%s: got %v, want %v", step.what, ok, step.want)
		}
	}
}

func TestAnOriginThatWasRestartedSaysSo(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		w.dial(s, 1, d, w.process).talk(t)
		w.process = w.newOrigin(1)
		l := w.dial(s, 1, d, w.process)
		l.settle()
		l.talk(t)
		if l.near.events&Restarted == 0 {
			t.Error("the client does not hear of the restart")
		}
		again := w.dial(s, 1, d, w.process)
		again.talk(t)
		if again.near.events&Restarted != 0 {
			t.Error("the client hears of a restart twice")
		}
	})
}

func TestWhoeverIsMisroutedKeepsTheSession(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		w.dial(s, 1, d, w.process).talk(t)
		other := w.dial(s, 1, d, w.newOrigin(2))
		if err := other.settle(); !errors.Is(err, ErrElsewhere) {
			t.Fatalf("got %v, want %v", err, ErrElsewhere)
		}
		w.dial(s, 1, d, w.process).talk(t)
	})
}

func TestACarrierAgreesWhenItsGenerationIsUnknown(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		first := w.dial(s, 1, d, w.process)
		first.talk(t)
		first.o.Session().generations = nil
		l := w.dial(s, 1, d, w.process)
		l.up("lost")
		l.settle()
		l.talk(t)
		if l.near.events&Restarted != 0 || l.o.Session() != first.o.Session() {
			t.Error("the session did not go on")
		}
	})
}

func TestAnIdleClientAgreesAgainOnItsNextCarrier(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		first := w.dial(s, 1, d, w.process)
		first.talk(t)
		first.o.Session().Hold()
		w.now = w.now.Add(time.Hour)
		s.Expire(w.now)
		w.process.Sweep(w.now)
		l := w.dial(s, 1, d, w.process)
		if d == Stream {
			l.down("")
		}
		if err := l.up("open"); err != nil || len(l.far.seen) != 1 {
			t.Fatalf("got %v %q, want early bytes without a round trip", err, l.far.seen)
		}
		l.talk(t)
		if l.o.Session() != first.o.Session() || l.near.events&Restarted != 0 {
			t.Error("the session did not go on")
		}
	})
}

func TestMessagesOfTheGatewayDoorComeInAnyOrder(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Gateway, w.process)
	l.talk(t)
	w.now = w.now.Add(GenerationLife)
	one, _ := l.near.say("one", w.now)
	l.again(t)
	two, _ := l.near.say("two", w.now)
	l.far.seen = nil
	for _, m := range [][]byte{two, one, two, one} {
		if err := l.far.hear(m, w.now); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.far.seen) != 2 || l.far.seen[0] != "two" {
		t.Errorf("got %q", l.far.seen)
	}
}

func TestACarrierMayUseTheOtherCipher(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := NewClient(w.pair(1)[0], ChaCha20Poly1305)
		w.dial(s, 1, d, w.process).talk(t)
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		if l.o.out.cipher != ChaCha20Poly1305 {
			t.Error("the origin uses another cipher")
		}
	})
}

func TestTheClientAgreesAgainWhenAKeyIsHalfUsedUp(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(t)
	l.c.latest.used = MaxRecords / 2
	l.again(t)
	l.talk(t)
	if _, ok := l.c.Again(w.now); ok || l.c.latest.used > 2 {
		t.Errorf("it agrees once more, after %d records", l.c.latest.used)
	}
}

func TestAnIdleClientIsSmall(t *testing.T) {
	w := newWorld(t)
	const n = 200
	keep := make([]*OriginCarrier, 0, n)
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = w.client(1 + uint32(i)/4)
	}
	before := heap()
	for i, s := range clients {
		user := 1 + uint32(i)/4
		token := w.token()
		c := s.Carrier(Stream, token)
		o := w.process.Carrier(Stream, token, user, w.pair(user)[1], w.now)
		l := &link{w, &wireEnd{ends: c, door: Stream}, &wireEnd{ends: o, door: Stream}, c, o}
		l.talk(t)
		o.RestWriter()
		o.RestReader()
		keep = append(keep, o)
	}
	if each := (heap() - before) / n; each > 6<<10 {
		t.Errorf("an idle client costs %d bytes", each)
	} else {
		t.Logf("an idle client costs the origin %d bytes", each)
	}
	runtime.KeepAlive(keep)
	runtime.KeepAlive(clients)
}

func TestARecordIsSealedAndOpenedInPlaceWithoutAllocating(t *testing.T) {
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	l.talk(t)
	buf := make([]byte, wire.MaxRecord)
	carry := func(from, to ends) {
		head, ok := from.Head(buf[:0], w.now)
		sealed, err := from.Seal(buf[:wire.RecordHead+16<<10])
		if !ok || len(head) > 0 || err != nil || &sealed[0] != &buf[0] {
			t.Fatalf("got a head of %d bytes, %v and %v", len(head), ok, err)
		}
		if plain, err := to.Open(0, sealed[wire.RecordHead:]); err != nil || &plain[0] != &buf[wire.RecordHead] {
			t.Fatalf("got %d bytes and %v", len(plain), err)
		}
	}
	if n := testing.AllocsPerRun(100, func() { carry(l.c, l.o); carry(l.o, l.c) }); n > 0 {
		t.Errorf("a record each way costs %v allocations, want none", n)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAnOriginThatDrainsServesWhatItHas(t *testing.T) {
	w := newWorld(t)
	s := w.client(1)
	l := w.dial(s, 1, Stream, w.process)
	l.talk(t)
	w.process.Drain()
	w.now = w.now.Add(GenerationLife)
	l.again(t)
	l.talk(t)
	w.dial(s, 1, Stream, w.process).talk(t)
	if err := w.dial(w.client(1), 1, Stream, w.process).settle(); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want %v", err, ErrBusy)
	}
}

// A Join that was on its way while the session was agreed on again, or in vain, is good.
func TestAJoinOutlivesTheNextAgreement(t *testing.T) {
	forBothDoors(t, func(t *testing.T, w *world, d Door) {
		s := w.client(1)
		l := w.dial(s, 1, d, w.process)
		l.talk(t)
		w.now = w.now.Add(GenerationLife - time.Second)
		before, during := w.dial(s, 1, d, w.process), w.dial(s, 1, d, w.process)
		var late [][]byte
		for _, x := range []*link{before, during} {
			m, err := x.near.say("late", w.now)
			if err != nil {
				t.Fatal(err)
			}
			late = append(late, m)
		}
		w.now = w.now.Add(time.Second)
		body, _ := l.c.Again(w.now)
		answer, err := l.o.Again(body, w.now) // proves nothing yet
		if err != nil {
			t.Fatal(err)
		}
		if err := before.far.hear(late[0], w.now); err != nil || before.far.State() != Live {
			t.Errorf("before the answer: %v, %v", err, before.far.State())
		}
		l.c.Answer(answer, w.now)
		l.talk(t)
		if err := during.far.hear(late[1], w.now); err != nil || during.far.State() != Live {
			t.Errorf("after the turn: %v, %v", err, during.far.State())
		}
	})
}
