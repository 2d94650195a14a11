package carrier

import "culvert/internal/wire"

// lists is what a carrier has to do with lists of fronts. Carrier.mu guards it.
type lists struct {
	asked   bool   // origin: the client has said which list it has
	known   uint32 // the version of the one that the client has, or is being sent
	waiting []byte // origin: a list that is to go with a record
}

// SayKnown tells an origin the version of the list of fronts that the client has; 0: none.
func (c *Carrier) SayKnown(version uint32) {
	c.mu.Lock()
	c.lists.known = version
	c.mu.Unlock()
	c.sayKnown()
}

// sayKnown is SayKnown once more, as what the carrier took before is lost.
func (c *Carrier) sayKnown() {
	c.mu.Lock()
	version := c.lists.known
	c.mu.Unlock()
	if c.set.asks && c.Fronts != nil {
		c.Put(wire.Frame{Kind: wire.Known, Num: version})
	}
}

// takeKnown is told by a client which list it has.
func (c *Carrier) takeKnown(version uint32) error {
	if c.set.asks {
		return wire.ErrFrame
	}
	c.mu.Lock()
	c.lists.asked, c.lists.known = true, version
	c.mu.Unlock()
	c.OfferFronts()
	return nil
}

// OfferFronts has a list that is newer than the client's go with a record that goes anyway: nobody
// waits for it, and a message of its own would cost as much as chat.
func (c *Carrier) OfferFronts() {
	if c.Newest == nil {
		return
	}
	list, version := c.Newest()
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := &c.lists; l.asked && version > l.known {
		l.known, l.waiting = version, list
	}
}

// append appends the list that waits if it fits into room bytes.
func (l *lists) append(b []byte, room int) []byte {
	f := wire.Frame{Kind: wire.Fronts, Body: l.waiting}
	if l.waiting == nil || len(l.waiting)+listHead > room {
		return b
	}
	l.waiting = nil
	return f.Append(b)
}

// listHead is what a Fronts frame takes besides the list.
const listHead = 1 + 2

// takeFronts is told by an origin of other fronts.
func (c *Carrier) takeFronts(list []byte) error {
	if !c.set.asks || c.Fronts == nil {
		return wire.ErrFrame
	}
	c.Fronts(list)
	return nil
}
