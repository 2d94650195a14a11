package whatsapp

import (
	"net/netip"
	"sync"
	"time"

	"culvert/internal/dial"
)

// memory keeps the address that served each service last. Clients choose the
// keys, so their number is bounded.
type memory struct {
	mu sync.Mutex
	at map[string]choice
}

type choice struct {
	addr  netip.AddrPort
	until time.Time
}

const (
	maxChoices = 256
	// choiceLife is how long an address is tried before its name is looked up
	// again: the system's resolver caches nothing, and WhatsApp moves its names
	// between sites.
	choiceLife = 10 * time.Minute
)

func (m *memory) get(key string) (dial.Endpoint, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.at[key]
	if !ok || time.Now().After(c.until) {
		return dial.Endpoint{}, false
	}
	return dial.Endpoint{Host: c.addr.Addr().String(), Port: c.addr.Port()}, true
}

// put remembers addr. The time of life counts from the lookup: an address that
// is remembered keeps its end.
func (m *memory) put(key string, addr netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	c, ok := m.at[key]
	if ok && c.addr == addr && now.Before(c.until) {
		return
	}
	if m.at == nil {
		m.at = make(map[string]choice)
	}
	if !ok && len(m.at) >= maxChoices {
		m.makeRoom(now)
	}
	m.at[key] = choice{addr, now.Add(choiceLife)}
}

// makeRoom drops what has expired, or anything if nothing has.
func (m *memory) makeRoom(now time.Time) {
	for key, c := range m.at {
		if now.After(c.until) {
			delete(m.at, key)
		}
	}
	for key := range m.at {
		if len(m.at) < maxChoices {
			return
		}
		delete(m.at, key)
	}
}

func (m *memory) drop(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.at, key)
}
