package seal

import (
	"encoding/binary"
	"testing"
)

const start = int64(1_800_000_000)

// ephemeral is a stand-in for the n-th client's key.
func ephemeral(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func newSeen(limit int) *seen {
	s := new(seen)
	s.init(start, limit)
	return s
}

func TestAMessageIsAdmittedOnceWhileItsTimeIsGood(t *testing.T) {
	t.Parallel()
	for _, ahead := range []int64{0, 1, 7, 8, windowSeconds} {
		s := newSeen(maxSeen)
		if err := s.admit(ephemeral(1), start+ahead, start); err != nil {
			t.Fatal(err)
		}
		for now := start; now <= start+2*windowSeconds+20; now++ {
			want := ErrReplay
			if now > start+ahead+windowSeconds {
				want = ErrClock
			}
			if err := s.admit(ephemeral(1), start+ahead, now); err != want {
				t.Fatalf("%d s ahead, after %d s: got %v, want %v", ahead, now-start, err, want)
			}
		}
	}
}

func TestTheMemoryIsEmptyAgainAfterTheWindow(t *testing.T) {
	t.Parallel()
	for _, pause := range []int64{2*windowSeconds + slotSeconds, 86400, 10 * 365 * 86400} {
		s := newSeen(maxSeen)
		for n := range 1000 {
			if err := s.admit(ephemeral(n), start+int64(n)%windowSeconds, start); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.admit(ephemeral(0), start+pause, start+pause); err != nil {
			t.Fatal(err)
		}
		if s.count != 1 || s.held() != 1 {
			t.Errorf("after %d s: got a count of %d and %d held, want 1", pause, s.count, s.held())
		}
	}
}

// held counts what the slots really hold.
func (s *seen) held() (n int) {
	for _, slot := range s.slots {
		n += len(slot)
	}
	return n
}

func TestAFullMemoryStaysBoundedAndAdmitsNothingTwice(t *testing.T) {
	t.Parallel()
	const limit = 100
	s := newSeen(limit)
	type message struct {
		id int
		at int64
	}
	var admitted []message
	for n := range 3000 {
		now := start + int64(n)/5 // twice as many as fit into the window
		at := now - int64(n%3)
		if s.admit(ephemeral(n), at, now) == nil {
			admitted = append(admitted, message{n, at})
		}
		if s.count > limit || s.count != s.held() {
			t.Fatalf("got a count of %d and %d held, want at most %d", s.count, s.held(), limit)
		}
		for _, m := range admitted[max(0, len(admitted)-300):] {
			if err := s.admit(ephemeral(m.id), m.at, now); err == nil {
				t.Fatalf("message of %d s ago was admitted twice", now-m.at)
			}
		}
	}
	if want := 2900; len(admitted) < want {
		t.Errorf("got %d admitted, want at least %d: clocks that are right must not suffer", len(admitted), want)
	}
}

func TestAClientWithAFastClockDoesNotShutOthersOutOfAFullMemory(t *testing.T) {
	t.Parallel()
	const limit = 100
	s := newSeen(limit)
	for n := range 10 * limit {
		now := start + int64(n)/4
		at := now
		if n%10 == 0 {
			at += windowSeconds
		}
		if err := s.admit(ephemeral(n), at, now); err != nil {
			t.Fatalf("message %d: %v", n, err)
		}
	}
}

func TestAnOriginWhoseClockWasSetBackServesAgain(t *testing.T) {
	t.Parallel()
	s := newSeen(maxSeen)
	const year = 365 * 86400
	if err := s.admit(ephemeral(1), start+year, start+year); err != nil {
		t.Fatal(err)
	}
	if err := s.admit(ephemeral(2), start, start); err != nil {
		t.Errorf("a year back: %v", err)
	}
	if err := s.admit(ephemeral(3), start, start); err != nil || s.count != s.held() {
		t.Errorf("got %v, a count of %d and %d held", err, s.count, s.held())
	}
}

func TestAClockBefore1970IsNoTrouble(t *testing.T) {
	t.Parallel()
	s := new(seen)
	s.init(-62135596800, maxSeen)
	if err := s.admit(ephemeral(1), -62135596800, -62135596800); err != ErrClock {
		t.Errorf("got %v, want %v", err, ErrClock)
	}
}

func TestTheOriginKeepsABoundedNumberOfUsers(t *testing.T) {
	t.Parallel()
	var u users
	faithful := new(suite)
	u.put(0, faithful)
	for n := range uint32(3 * maxUsers) {
		u.put(n+1, new(suite))
		if n%1000 == 0 && u.get(0) != faithful {
			t.Fatalf("the user who keeps coming was forgotten after %d others", n)
		}
		if got := len(u.young) + len(u.old); got > maxUsers {
			t.Fatalf("got %d users, want at most %d", got, maxUsers)
		}
	}
	if u.get(1) != nil {
		t.Error("a user who never came again is still there")
	}
}

func BenchmarkSeen(b *testing.B) {
	s := newSeen(maxSeen)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		now := start + int64(n)/5000
		s.admit(ephemeral(n), now, now)
		n++
	}
}
