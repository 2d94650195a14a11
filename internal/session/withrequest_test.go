package session

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"culvert/internal/wire"
)

// asked is a carrier whose Agree has gone with the request, and its answer.
func (w *world) asked(t *testing.T, s *Client, o *Origin) (l *link, first, answer []byte) {
	t.Helper()
	l = w.dial(s, 1, Stream, o)
	if first = l.c.Ahead(w.now); first == nil {
		t.Fatal("it does not agree with the request")
	}
	answer, _ = l.o.Ahead(first, w.now)
	return l, first, answer
}

// told gives the client what came with the 101.
func (l *link) told(answer []byte) error {
	l.c.Told(l.o.Challenge())
	return l.near.hear(AgreedMessage(answer), l.w.now)
}

// Who agrees with the request says its first record under the generation, and hears no challenge.
func TestAnAgreeMayGoWithTheRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, first, answer := w.asked(t, w.client(1), w.process)
	if len(first) > wire.MaxAhead || len(answer) != wire.AnswerLen {
		t.Fatalf("got an Agree of %d bytes and an answer of %d", len(first), len(answer))
	}
	if m, err := l.near.say("early", w.now); err != errWait || len(m) > 0 {
		t.Errorf("before the answer: got %d bytes and %v", len(m), err)
	}
	if err := l.told(answer); err != nil {
		t.Fatal(err)
	}
	if m, err := l.far.say("too soon", w.now); err != errWait || len(m) > 0 {
		t.Errorf("the origin, before the client has proved itself: got %d bytes and %v", len(m), err)
	}
	for _, err := range []error{l.up("up"), l.down("down"), l.up("up")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if l.near.State() != Live || l.far.State() != Live || l.o.challenged {
		t.Errorf("the client is %v, the origin %v; challenged: %v", l.near.State(), l.far.State(), l.o.challenged)
	}
	if b := w.dial(l.c.session, 1, Stream, w.process).c.Ahead(w.now); b != nil {
		t.Error("it agrees again where it may join")
	}
	if b := w.dial(w.client(1), 1, Gateway, w.process).c.Ahead(w.now); b != nil {
		t.Error("it agrees with the request for the gateway door")
	}
}

// A CDN may drop the cookie, and an origin may leave it out: then the carrier is agreed on as without it.
func TestWhoHasNoAnswerAgreesByTheCarrier(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ told, answers, joins bool }{
		"no cookie": {answers: true}, "a challenge alone": {told: true, answers: true},
		"another has agreed meanwhile": {answers: true, joins: true}, "and there is a challenge": {told: true, answers: true, joins: true},
		"and none answered": {told: true, joins: true},
	} {
		w := newWorld(t)
		s := w.client(1)
		l := w.dial(s, 1, Stream, w.process)
		first := l.c.Ahead(w.now)
		prove := func() {
			other, _, answer := w.asked(t, s, w.process)
			if err := errors.Join(other.told(answer), other.up("one"), other.down("two")); err != nil {
				t.Fatal(err)
			}
		}
		if c.joins && !c.answers {
			prove()
		}
		answer, rest := l.o.Ahead(first, w.now)
		if (answer != nil) != c.answers || rest != nil {
			t.Fatalf("%s: got an answer of %d bytes, and %d are left", name, len(answer), len(rest))
		}
		if c.joins && c.answers {
			prove()
		}
		if c.told {
			l.c.Told(l.o.Challenge())
		}
		l.c.Unanswered()
		w.now = w.now.Add(toldWithin)
		if !c.joins {
			if err := l.down(""); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		l.talk(t)
	}
}

// What an edge has copied of such a request makes an origin that has begun anew answer, and nothing else.
func TestACopiedRequestProvesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, first, answer := w.asked(t, w.client(1), w.process)
	if err := errors.Join(l.told(answer), l.up("stream")); err != nil {
		t.Fatal(err)
	}
	record, err := l.near.say("more", w.now)
	if err != nil {
		t.Fatal(err)
	}
	anew := w.newOrigin(1)
	far := anew.Carrier(Stream, l.c.token, 1, w.pair(1)[1], w.now)
	if answer, _ := far.Ahead(first, w.now); answer == nil {
		t.Fatal("it does not answer")
	}
	end := &wireEnd{ends: far, door: Stream}
	if err := end.hear(record, w.now); err == nil || far.State() == Live || len(end.seen) > 0 {
		t.Errorf("got %v, %v and %q", err, far.State(), end.seen)
	}
	other := w.process.Carrier(Stream, w.token(), 1, w.pair(1)[1], w.now)
	if answer, _ := other.Ahead(first, w.now); answer != nil || other.State() != Unproven {
		t.Error("it means something for another token")
	}
}

// An Agree of a request means nothing by a carrier, nor the other way round, and garbage leaves the carrier as it was.
func TestAnAgreeWithTheRequestMeansItsPlaceAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l := w.dial(w.client(1), 1, Stream, w.process)
	first := l.c.Ahead(w.now)
	if err := l.far.hear(first, w.now); err != ErrProof {
		t.Errorf("by a carrier: got %v, want %v", err, ErrProof)
	}
	l = w.dial(w.client(1), 1, Stream, w.process)
	l.c.Told(l.o.Challenge())
	plain, _ := l.c.Head(nil, w.now)
	for name, b := range map[string][]byte{
		"by the carrier": plain, "nothing": nil, "a part": first[:100], "more": append(bytes.Clone(first), 0), "garbage": append([]byte{0, 3}, make([]byte, agreeLen)...),
	} {
		if answer, _ := l.o.Ahead(b, w.now); answer != nil || l.o.State() != Unproven {
			t.Errorf("%s: got an answer", name)
		}
	}
	if err := l.far.hear(plain, w.now); err != nil {
		t.Error(err)
	}
}

// Who agreed with a request and proves nothing is not kept.
func TestWhoAgreedWithARequestHasAsLongAsOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	l, _, _ := w.asked(t, w.client(1), w.process)
	if l.o.Late(w.now) || !l.o.Late(w.now.Add(ProveWithin)) {
		t.Error("it is kept")
	}
	w.process.Sweep(w.now.Add(ProveWithin + time.Second))
	if n := w.process.Sessions(); n != 0 {
		t.Errorf("got %d sessions, want none", n)
	}
}
