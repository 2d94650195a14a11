package client

import (
	"sync"

	"culvert/internal/pace"
	"culvert/internal/wire"
)

// paths is what may be in flight by each front to one origin: what comes there is told by its clock.
type paths struct {
	mu      sync.Mutex // guards the following
	windows map[int]*pace.Window
}

// follow tells l which path it takes. Fronts beyond the last number that a path may have
// share that one. budget is how much l may bring, 0 for any.
func (p *paths) follow(l *activeCarrier, budget uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number := min(l.front, wire.MaxPaths-1)
	if p.windows == nil {
		p.windows = map[int]*pace.Window{}
	}
	if p.windows[number] == nil {
		p.windows[number] = pace.New(l.RTT())
	}
	l.Follow(byte(number), p.windows[number], budget)
}
