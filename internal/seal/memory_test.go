package seal

import (
	"testing"
	"testing/synctest"
	"time"
)

// warmMemory keeps a resumption since noon.
func warmMemory() *memory {
	m := new(memory)
	m.put(resumption{name: name{1}, secret: [32]byte{1}}, noon, noon)
	return m
}

func (m *memory) holds(n name) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kept.name == n && m.left > 0
}

// wantNext checks how each of the tunnels opened at one time begins.
func (m *memory) wantNext(t *testing.T, at time.Time, want ...byte) {
	t.Helper()
	for i, want := range want {
		if got, _ := m.next(at); got != want {
			t.Errorf("tunnel %d at %v: got kind %d, want %d", i, at.Sub(noon), got, want)
		}
	}
}

func TestUntilThereIsASecretOneHandshakeIsToBringIt(t *testing.T) {
	t.Parallel()
	m := new(memory)
	m.wantNext(t, noon, openFull, openOnce, openOnce)
	m.wantNext(t, noon.Add(askAgain-1), openOnce)
	m.wantNext(t, noon.Add(askAgain), openFull, openOnce)
	m.put(resumption{name: name{1}}, noon, noon.Add(askAgain))
	m.wantNext(t, noon.Add(askAgain), openResumed, openResumed)
}

func TestAHandshakeThatFailedMakesWayForAnother(t *testing.T) {
	t.Parallel()
	e := newEnds()
	_, pending := e.open(t)
	open, other := e.open(t)
	wantKind(t, open, openOnce)
	other.Void() // was to bring nothing
	open, _ = e.open(t)
	wantKind(t, open, openOnce)
	pending.Void()
	open, _ = e.open(t)
	wantKind(t, open, openFull)
}

func TestASecretIsRenewedAtHalfItsLifeWhileTheOldGoesOn(t *testing.T) {
	t.Parallel()
	m := warmMemory()
	half := noon.Add(secretLife / 2)
	m.wantNext(t, half.Add(-1), openResumed, openResumed)
	m.wantNext(t, half, openFull, openResumed, openResumed)
	m.wantNext(t, half.Add(askAgain), openFull, openResumed) // that one's Accept never came
	m.put(resumption{name: name{2}}, half.Add(askAgain), half.Add(askAgain))
	m.wantNext(t, half.Add(2*askAgain), openResumed, openResumed)
	if m.kept.name != (name{2}) {
		t.Errorf("got %x, want the new one", m.kept.name)
	}
}

func TestASecretIsUsedForSecretLife(t *testing.T) {
	t.Parallel()
	for at, want := range map[time.Duration]byte{
		-1:             openOnce, // the clock was set back
		0:              openResumed,
		secretLife - 1: openResumed,
		secretLife:     openOnce,
		time.Hour:      openOnce,
	} {
		m := warmMemory()
		m.asked = noon.Add(at) // so that this one is not to bring another
		m.wantNext(t, noon.Add(at), want)
		if want == openOnce && m.kept.secret != [32]byte{} {
			t.Errorf("after %v: the secret is still there", at)
		}
	}
}

func TestASecretIsUsedForSecretTunnels(t *testing.T) {
	t.Parallel()
	m := warmMemory()
	kinds := map[byte]int{}
	for range secretTunnels + 100 {
		how, _ := m.next(noon)
		kinds[how]++
	}
	if kinds[openResumed] != secretTunnels || kinds[openFull] != 1 || kinds[openOnce] != 99 {
		t.Errorf("got %v, want %d resumed, 1 full and 99 once", kinds, secretTunnels)
	}
	if m.kept.secret != [32]byte{} {
		t.Error("the secret is still there")
	}
}

func TestASecretIsForgottenThoughNobodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		m.put(resumption{name: name{1}, secret: [32]byte{1}}, time.Now().Add(-time.Minute), time.Now())
		for wait, want := range []bool{true, false} {
			if got := m.holds(name{1}); got != want {
				t.Errorf("after %d waits: got it kept %v, want %v", wait, got, want)
			}
			<-time.After(secretLife - time.Minute)
			synctest.Wait()
		}
	})
}

func TestWhatReplacedASecretIsNotForgottenInItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory)
		m.put(resumption{name: name{1}}, time.Now(), time.Now())
		<-time.After(secretLife / 2)
		m.put(resumption{name: name{2}}, time.Now(), time.Now())
		<-time.After(secretLife/2 + time.Second)
		synctest.Wait()
		if !m.holds(name{2}) {
			t.Error("the second is gone")
		}
	})
}
