package origin

import (
	"slices"
	"sync"

	"culvert/internal/relay"
	"culvert/internal/wire"
)

// pending are the tunnels whose handshake is under way, and the carriers that
// brought their Open frame, in this order: if the first one dies meanwhile, the
// client sends the frame again, and that is no replay. The last one may be one that
// the client has left, so each hears what came of it.
type pending struct {
	mu sync.Mutex
	by map[wire.TunnelID][]*relay.Carrier
}

// maxBrought bounds the carriers of one tunnel; the latest are remembered.
const maxBrought = 8

// begin starts a handshake for id; false, and c noted, if one is under way.
func (p *pending) begin(id wire.TunnelID, c *relay.Carrier) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before := p.by[id]; len(before) > 0 {
		if before[0].User == c.User && !slices.Contains(before, c) {
			p.by[id] = append(before[max(0, len(before)-maxBrought+1):], c)
		}
		return false
	}
	if p.by == nil {
		p.by = map[wire.TunnelID][]*relay.Carrier{}
	}
	p.by[id] = []*relay.Carrier{c}
	return true
}

// done ends the handshake for id and says who brought its Open frame.
func (p *pending) done(id wire.TunnelID) []*relay.Carrier {
	p.mu.Lock()
	defer p.mu.Unlock()
	by := p.by[id]
	delete(p.by, id)
	return by
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.by)
}
