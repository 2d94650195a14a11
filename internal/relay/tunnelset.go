package relay

import (
	"slices"
	"time"

	"culvert/internal/wire"
)

// tunnelSet is the tunnels of a carrier: one, as a rule, at the origin, where
// a map would cost an idle client more than its tunnel; thousands at a busy
// client.
type tunnelSet struct {
	few  []*Tunnel // up to fewTunnels
	many map[*Tunnel]struct{}
}

const fewTunnels = 8

func (s *tunnelSet) add(t *Tunnel) {
	switch {
	case s.many != nil:
		s.many[t] = struct{}{}
	case slices.Contains(s.few, t):
	case len(s.few) < fewTunnels:
		s.few = append(s.few, t)
	default:
		s.many = map[*Tunnel]struct{}{t: {}}
		for _, t := range s.few {
			s.many[t] = struct{}{}
		}
		s.few = nil
	}
}

func (s *tunnelSet) remove(t *Tunnel) {
	delete(s.many, t)
	if i := slices.Index(s.few, t); i >= 0 {
		s.few = slices.Delete(s.few, i, i+1)
	}
}

func (s *tunnelSet) len() int { return len(s.few) + len(s.many) }

func (s *tunnelSet) list() []*Tunnel {
	all := slices.Clone(s.few)
	for t := range s.many {
		all = append(all, t)
	}
	return all
}

func (c *Carrier) adopt(t *Tunnel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tunnels.add(t)
}

func (c *Carrier) drop(t *Tunnel) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tunnels.remove(t)
	c.left = time.Now().UnixNano()
}

// users are the tunnels that use the carrier or did so lately.
func (c *Carrier) users() []*Tunnel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tunnels.list()
}

// MoveTo has the client's tunnels go on by another carrier. Both live: nothing
// is sent again.
func (c *Carrier) MoveTo(to *Carrier) {
	for _, t := range c.users() {
		if t.Carrier() == c {
			t.Attach(to, false)
		}
	}
}

// maxLast bounds the last acks that a carrier remembers.
const maxLast = 64

// remember keeps a tunnel's last ack until the carrier ends: it may end before
// the peer has it.
func (c *Carrier) remember(ack wire.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead.Load() {
		c.table.tellLater(untold{ack, c.Home})
		return
	}
	if len(c.last) == maxLast {
		c.last = append(c.last[:0], c.last[1:]...)
	}
	c.last = append(c.last, ack)
}

// tellLater has the next carrier say what this one may not have said.
func (c *Carrier) tellLater() {
	c.mu.Lock()
	last := c.last
	c.last = nil
	c.mu.Unlock()
	for _, h := range last {
		c.table.tellLater(untold{h, c.Home})
	}
}

// Unused is for how long no tunnel has used the carrier, 0 if one does. What a
// tunnel says last may be on its way for a moment.
func (c *Carrier) Unused(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tunnels.len() > 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - c.left)
}

// Load is how many tunnels use the carrier or did so lately.
func (c *Carrier) Load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tunnels.len()
}
