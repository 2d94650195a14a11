package origin

import (
	"sync"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// pending are the tunnels whose handshake is under way, and which carrier
// brought their Open frame last: if the first one dies meanwhile, the client
// sends the frame again, and that is no replay.
type pending struct {
	mu sync.Mutex
	by map[wire.TunnelID]*relay.Carrier
}

// begin starts a handshake for id; false, and c noted, if one is under way.
func (p *pending) begin(id wire.TunnelID, c *relay.Carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.by[id]; ok {
		if before.User == c.User {
			p.by[id] = c
		}
		return false
	}
	if p.by == nil {
		p.by = map[wire.TunnelID]*relay.Carrier{}
	}
	p.by[id] = c
	return true
}

// done ends the handshake for id and says who brought its Open frame last.
func (p *pending) done(id wire.TunnelID) *relay.Carrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.by[id]
	delete(p.by, id)
	return c
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}
