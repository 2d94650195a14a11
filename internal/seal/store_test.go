package seal

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
)

func numbered(n int) (r resumption) {
	binary.BigEndian.PutUint64(r.name[:], uint64(n))
	r.secret[0] = 1
	return r
}

func newStore(now func() time.Time, limit int) *store {
	s := new(store)
	s.init(now, limit)
	return s
}

// wantKept checks which of a user's numbers there are.
func (s *store) wantKept(t *testing.T, user uint32, n int, want bool) {
	t.Helper()
	r, err := s.get(user, numbered(n).name)
	if got := err == nil; got != want || got && r != numbered(n) || !got && err != ErrStale {
		t.Errorf("number %d of user %d: got %v, want it kept: %v", n, user, err, want)
	}
}

func TestTheOriginKeepsASecretForStoreLife(t *testing.T) {
	t.Parallel()
	now := noon
	s := newStore(func() time.Time { return now }, maxStored)
	s.put(7, numbered(1))
	now = noon.Add(storeLife - 1)
	s.wantKept(t, 7, 1, true)
	s.wantKept(t, 8, 1, false)
	s.wantKept(t, 7, 2, false)
	now = noon.Add(storeLife)
	s.wantKept(t, 7, 1, false)
}

func TestAnExpiredResumptionIsStale(t *testing.T) {
	t.Parallel()
	e := warmEnds(t)
	now := noon
	e.server.store.now = func() time.Time { return now }
	open, _ := e.open(t)
	now = noon.Add(storeLife)
	if _, err := e.server.Accept(tunnel, 7, open); err != ErrStale {
		t.Errorf("got %v, want %v", err, ErrStale)
	}
}

func TestAUserPushesOutItsOwnOnly(t *testing.T) {
	t.Parallel()
	s := newStore(atNoon, maxStored)
	s.put(8, numbered(1))
	for n := range 10 * maxPerUser {
		s.put(7, numbered(n))
	}
	s.wantKept(t, 8, 1, true)
	for n := range 10 * maxPerUser {
		s.wantKept(t, 7, n, n >= 9*maxPerUser)
	}
	s.wantSize(t, maxPerUser+1, 2)
}

func TestTheStoreIsBoundedAndKeepsTheNewest(t *testing.T) {
	t.Parallel()
	s := newStore(atNoon, 100)
	for n := range 1000 {
		s.put(uint32(n), numbered(n))
	}
	for n := range 1000 {
		s.wantKept(t, uint32(n), n, n >= 900)
	}
	s.wantSize(t, 100, 100)
}

func (s *store) wantSize(t *testing.T, all, users int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.named) != all || s.order.Len() != all || len(s.users) != users {
		t.Errorf("got %d names, %d in order, %d users, want %d of %d users", len(s.named), s.order.Len(), len(s.users), all, users)
	}
}

func TestAFloodOfHandshakesIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	e := newEnds()
	for range 2 * maxPerUser {
		resumeFirst(t, e.client, e.server, 7)
	}
	e.server.store.wantSize(t, maxPerUser, 1)
	open, _ := e.open(t)
	if _, err := e.server.Accept(tunnel, 7, open); err != nil {
		t.Errorf("from the last: %v", err)
	}
	for range 2 * maxPerUser {
		e.client.memory = memory{asked: noon}
		open, pending := e.open(t)
		wantKind(t, open, openOnce)
		opened, err := e.server.Accept(tunnel, 7, open)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pending.Finish(opened.Accept); err != nil {
			t.Fatal(err)
		}
		if e.client.memory.left != 0 {
			t.Error("the client keeps what the origin does not")
		}
	}
	e.server.store.wantSize(t, maxPerUser, 1)
}

func TestSecretsThatAreDroppedAreWiped(t *testing.T) {
	t.Parallel()
	s := newStore(atNoon, 1)
	s.put(7, numbered(1))
	held := s.order.Front().Value.(*stored)
	s.put(8, numbered(2))
	if held.secret != [32]byte{} {
		t.Error("the secret is still there")
	}
}

func TestTheOriginForgetsThoughNobodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore(time.Now, maxStored)
		s.put(7, numbered(1))
		<-time.After(storeLife / 2)
		s.put(7, numbered(2))
		for _, want := range []int{2, 1, 0} {
			s.wantSize(t, want, min(want, 1))
			<-time.After(storeLife/2 + time.Nanosecond)
			synctest.Wait()
		}
		s.put(7, numbered(3))
		<-time.After(storeLife)
		synctest.Wait()
		s.wantSize(t, 0, 0)
	})
}
