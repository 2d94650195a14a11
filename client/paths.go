package client

import (
	"sync"

	"culvert/internal/carrier"
	"culvert/internal/pace"
	"culvert/internal/wire"
)

// paths is what may be in flight by each front to one origin: what comes there is told by its clock.
type paths struct {
	mu      sync.Mutex // guards the following
	windows map[int]*pace.Window
	newest  map[int]*carrier.Carrier // by each
}

// follow tells l which path it takes. Fronts beyond the last number that a path may have
// share that one. budget is how much l may bring, 0 for any.
func (p *paths) follow(l *activeCarrier, budget uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number := min(l.front, wire.MaxPaths-1)
	if p.windows == nil {
		p.windows, p.newest = map[int]*pace.Window{}, map[int]*carrier.Carrier{}
	}
	if p.windows[number] == nil {
		p.windows[number] = pace.New(l.RTT())
	}
	if before := p.newest[number]; before != nil && (before.Doubted() || budget > 0 || !before.Heard()) {
		l.Inherit(before) // else what was known may be so no more, as where all clients come back at once
	}
	p.newest[number] = l.Carrier
	l.Follow(byte(number), p.windows[number], budget)
}
