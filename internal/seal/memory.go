package seal

import (
	"sync"
	"time"
)

// How long a client resumes from one secret. It renews it at half of either.
const (
	secretLife    = 5 * time.Minute
	secretTunnels = 4096
)

// askAgain is how long a client waits for the Accept of the handshake whose
// secret it means to keep, before it means to keep another's.
const askAgain = 10 * time.Second

// memory is a client's one resumption. Its time is the wall clock's, which goes
// on while a phone sleeps.
type memory struct {
	hidden
	mu     sync.Mutex
	kept   resumption
	left   int       // tunnels that kept is still good for; 0: there is none
	made   time.Time // when the Open was made that it comes from
	asked  time.Time // when the handshake began that is to bring the next; 0: none is under way
	expiry *time.Timer
}

// next says how the next tunnel is opened: openResumed with the resumption, or
// openFull or openOnce.
func (m *memory) next(now time.Time) (how byte, r resumption) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now = now.Round(0)
	age := now.Sub(m.made)
	if age < 0 || age >= secretLife {
		m.drop()
	}
	if (m.left <= secretTunnels/2 || age >= secretLife/2) && m.ask(now) {
		return openFull, r
	}
	if m.left == 0 {
		return openOnce, r
	}
	r = m.kept
	if m.left--; m.left == 0 {
		m.drop()
	}
	return openResumed, r
}

// anew is next for a tunnel that is not to be resumed.
func (m *memory) anew(now time.Time) (how byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ask(now.Round(0)) {
		return openFull
	}
	return openOnce
}

// ask has one handshake at a time bring a secret, so that the origin keeps
// few that nobody uses.
func (m *memory) ask(now time.Time) bool {
	if waited := now.Sub(m.asked); waited >= 0 && waited < askAgain {
		return false
	}
	m.asked = now
	return true
}

// put keeps what a handshake left that began at the time at.
func (m *memory) put(r resumption, at, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at = at.Round(0)
	m.drop()
	m.kept, m.left, m.made, m.asked = r, secretTunnels, at, time.Time{}
	m.expiry = time.AfterFunc(max(0, secretLife-now.Round(0).Sub(at)), func() { m.forget(r.name) })
}

// unask gives up the handshake that was to bring the next secret.
func (m *memory) unask() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = time.Time{}
}

// forget drops the resumption of this name, if it is still the one.
func (m *memory) forget(n name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept.name == n {
		m.drop()
	}
}

func (m *memory) drop() {
	m.kept, m.left = resumption{}, 0
	if m.expiry != nil {
		m.expiry.Stop()
		m.expiry = nil
	}
}
