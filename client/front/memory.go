package front

import (
	"crypto/tls"
	"net/netip"
	"sync"
	"time"

	"culvert/internal/dial"
)

// frontMemory is what a Dialer remembers of one front.
type frontMemory struct {
	sessions tls.ClientSessionCache

	mu     sync.Mutex // guards the following
	good   target
	took   time.Duration // to connect to it
	resets int           // handshakes with a whole ClientHello that were reset, since one was not
	small  bool          // a smaller ClientHello is sent
}

// target is an address of a front.
type target struct {
	end  dial.Endpoint // one of link.Front.Addrs
	addr netip.Addr    // an address of its host; none if a proxy connects
}

func newFrontMemory() *frontMemory {
	return &frontMemory{sessions: tls.NewLRUClientSessionCache(8)}
}

// best is the address that was good last, and what connecting to it took.
func (m *frontMemory) best() (target, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.good, m.took
}

func (m *frontMemory) remember(c dial.Candidate, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.good, m.took = target{c.End, c.Addr.Addr()}, took
}

// maxResets is how many resets of a handshake are no chance: some middleboxes reset a
// ClientHello that takes two packets, as one with ML-KEM does.
const maxResets = 2

// isSmall reports whether the next ClientHello is to be a smaller one.
func (m *frontMemory) isSmall() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.small
}

// wasReset notes that a handshake was reset, and reports whether another at the same
// address makes sense. After some the next ClientHello is a smaller one.
func (m *frontMemory) wasReset(small bool) (again bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if small {
		return false
	}
	m.resets++
	m.small = m.small || m.resets >= maxResets
	return true
}

// worked notes that a handshake succeeded.
func (m *frontMemory) worked(small bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets, m.small = 0, small
}

// smallFailed notes that a smaller ClientHello did not help either.
func (m *frontMemory) smallFailed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets, m.small = 0, false
}
