package relay

import "slices"

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

// Load is how many tunnels use the carrier or did so lately.
func (c *Carrier) Load() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tunnels.len()
}
