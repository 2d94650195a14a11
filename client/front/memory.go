package front

import (
	"net/netip"
	"sync"
	"time"

	"culvert/internal/dial"
	"culvert/internal/link"
)

// frontMemory is what a Dialer remembers of one front.
type frontMemory struct {
	mu     sync.Mutex // guards the following
	good   target
	took   time.Duration // to connect to it
	resets int           // handshakes with a whole ClientHello that were reset, since one was not
	small  bool          // a smaller ClientHello is sent

	worn   worn // by the connections of the next Open
	proven bool // a handshake has succeeded by that look, or had before it was kept
	fails  int  // how many Opens by that look in a row, since one succeeded, ended as they do where a look is banned

	encryption encryption // of the name in the next ClientHello

	answers map[string]answer // of resolvers, by network and host

	may func(netip.Addr) bool // where connections may go; nil: anywhere
}

func (m *frontMemory) confine(may func(netip.Addr) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.may = may
}

func (m *frontMemory) mayLeadTo(a netip.Addr) bool {
	m.mu.Lock()
	may := m.may
	m.mu.Unlock()
	return may == nil || may(a)
}

// answer is the addresses that a resolver gave, which are kept for a while.
type answer struct {
	addrs []netip.Addr
	until time.Time
}

// answersLast is how long what a resolver has said is not asked for again: CDNs say that
// their addresses hold for about as long.
const answersLast = time.Minute

func (m *frontMemory) answered(network, host string) ([]netip.Addr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, found := m.answers[network+" "+host]
	return a.addrs, found && time.Now().Before(a.until)
}

func (m *frontMemory) keepAnswer(network, host string, addrs []netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.answers == nil {
		m.answers = make(map[string]answer)
	}
	m.answers[network+" "+host] = answer{addrs, time.Now().Add(answersLast)}
}

// target is an address of a front.
type target struct {
	end   dial.Endpoint // one of link.Front.Addrs, unless asked
	addr  netip.Addr    // an address of its host; none if a proxy connects
	asked bool          // end is an address that a resolver gave
}

// best is the address that was good last, and what connecting to it took.
func (m *frontMemory) best() (target, time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.good, m.took
}

// remember keeps an address that is good, which a resolver gave or not.
func (m *frontMemory) remember(c dial.Candidate, took time.Duration, asked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took = took
	switch {
	case asked:
		m.good = target{dial.Endpoint{Host: c.Addr.Addr().String(), Port: c.End.Port}, c.Addr.Addr(), true}
	case m.good.end != c.End || !m.good.asked:
		m.good = target{c.End, c.Addr.Addr(), false}
	}
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

// worked notes that a handshake by w succeeded.
func (m *frontMemory) worked(w worn, small bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets, m.small = 0, small
	if m.worn.look == w.look {
		m.proven, m.fails = true, 0
	}
	m.encryption.told = false
}

// smallFailed notes that a smaller ClientHello did not help either.
func (m *frontMemory) smallFailed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets, m.small = 0, false
}

// Small reports whether f is sent a smaller ClientHello, as larger ones are reset on the way.
func (d *Dialer) Small(f link.Front) bool { return d.memory(f).isSmall() }

// SetSmall has the next ClientHello to f be a smaller one, or not: what was learned before, or of
// another network.
func (d *Dialer) SetSmall(f link.Front, small bool) {
	m := d.memory(f)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resets, m.small, m.fails = 0, small, 0
}
